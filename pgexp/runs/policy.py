"""Policy files of a run: its tensors without pickle, and a description that is sufficient to act with them."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from pgexp.functional.spaces import ActionSpace
from pgexp.runs.files import read_json, replace_file, write_json
from pgexp.runs.secrets import masked
from pgexp.schema.check import check
from pgexp.schema.config import parameters_of
from pgexp.schema.errors import Problem, UserError
from pgexp.schema.types import NonNegativeInt, PositiveInt

TENSORS_FILE = "policy.safetensors"
DESCRIPTION_FILE = "policy.json"


def write_policy(folder: Path, tensors: dict[str, np.ndarray], description: dict[str, Any]) -> None:
    """Write a policy's tensors by name, and its description as JSON with secrets masked.

    If an error occurs, such as a full disk, both files stay the old ones.
    """
    with replace_file(folder / TENSORS_FILE) as draft:
        draft.write_bytes(save({name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}))
        write_json(folder / DESCRIPTION_FILE, masked(description))


def read_policy(folder: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return a policy's tensors and description. Raises ValueError with the name of a missing or damaged file."""
    path = folder / TENSORS_FILE
    try:
        tensors: dict[str, np.ndarray] = load_file(path)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or error}") from error
    except SafetensorError as error:
        raise ValueError(f"{path}: damaged: {error}") from error
    return tensors, read_json(folder / DESCRIPTION_FILE)


@dataclass(frozen=True)
class PolicyDescription:
    """Description of a policy: its origin, the options of which it is built, its inputs and its outputs."""

    seed: NonNegativeInt  # of its run
    steps: NonNegativeInt  # of training
    dtype: Literal["float32", "float64"]
    env: dict[str, Any]  # this and the next two: the config with secrets masked
    network: dict[str, Any]
    head: dict[str, Any]
    shared_value: bool  # whether the network's last output is the value of a baseline
    observation_shape: list[NonNegativeInt]  # of a Box; [O] of other spaces, which are flattened
    observation_dtype: str
    pictures: bool  # whether observations are bytes that are divided by 255
    action_shape: list[NonNegativeInt]  # this and the next two: for the environment
    action_dtype: str
    action_start: list[int]  # the environment's first action, one for all or one per component; the policy's is 0
    action_space: dict[str, Any]  # of the policy
    memory_size: NonNegativeInt  # numbers that a recurrent policy keeps between steps
    greedy: bool  # in the evaluations of its run
    num_envs: PositiveInt  # in the evaluations of its run

    @property
    def space(self) -> ActionSpace:
        """Action space of the policy."""
        return ActionSpace.from_description(self.action_space)


def read_described_policy(folder: Path) -> tuple[dict[str, np.ndarray], PolicyDescription]:
    """Return the tensors and the description in a policy's folder.

    Raises UserError if a file is missing, damaged, or not a description by pgexp.
    """
    try:
        tensors, fields = read_policy(folder)
    except ValueError as error:
        raise UserError.at("policy", str(error)) from error
    values, problems = check(fields, parameters_of(PolicyDescription))
    if not problems:
        description = PolicyDescription(**values)
        problems = _inconsistencies(description)
    if problems:
        path = folder / DESCRIPTION_FILE
        raise UserError([Problem("policy", f"{path} is not a valid description: {problem}") for problem in problems])
    return tensors, description


def _inconsistencies(description: PolicyDescription) -> list[Problem]:
    problems = []
    for key in ("observation_dtype", "action_dtype"):
        name = getattr(description, key)
        try:
            is_number = np.dtype(name).kind in "biuf"
        except TypeError:
            is_number = False
        if not is_number:
            problems.append(Problem(key, f"must be a type of numbers (got {name!r})"))
    try:
        size = description.space.size
    except (KeyError, TypeError, ValueError):
        text = f"must be the description of a space (got {description.action_space!r})"
        return [*problems, Problem("action_space", text)]
    if size != math.prod(description.action_shape):
        problems.append(Problem("action_shape", f"must have {size} numbers (got {description.action_shape})"))
    if len(description.action_start) not in (1, size):
        problems.append(Problem("action_start", f"must have 1 or {size} numbers (got {description.action_start})"))
    return problems
