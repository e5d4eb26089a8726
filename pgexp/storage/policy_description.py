"""What a policy's tensors are for: everything that it takes to act with them again."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pgexp.functional.spaces import ActionSpace
from pgexp.schema.check import check
from pgexp.schema.config import parameters_of
from pgexp.schema.errors import ConfigError, Problem
from pgexp.schema.types import NonNegativeInt, PositiveInt
from pgexp.storage.policy import DESCRIPTION_FILE, read_policy


@dataclass(frozen=True)
class PolicyDescription:
    """A policy in plain JSON: where it comes from, the options it is built of, and what it is given and gives back."""

    seed: NonNegativeInt  # of its run
    steps: NonNegativeInt  # that it was trained for
    dtype: Literal["float32", "float64"]
    env: dict[str, Any]  # the config, secrets masked
    network: dict[str, Any]
    head: dict[str, Any]
    shared_value: bool  # whether the network's last output is a baseline's
    observation_shape: list[NonNegativeInt]  # a Box's own; [O] of what is laid flat from other spaces
    observation_dtype: str
    pictures: bool  # whether observations are bytes that are seen as fractions of 255
    action_shape: list[NonNegativeInt]  # this and the next two: as the environment takes them
    action_dtype: str
    action_start: list[int]  # what its numbering begins with, one for all or each; the policy's begins with 0
    action_space: dict[str, Any]  # as the policy has it
    memory_size: NonNegativeInt  # the numbers that it remembers from step to step
    greedy: bool  # how its run was evaluated
    num_envs: PositiveInt  # in how many environments

    @property
    def space(self) -> ActionSpace:
        """The space that the policy acts in."""
        return ActionSpace.of(self.action_space)


def read_described(folder: Path) -> tuple[dict[str, np.ndarray], PolicyDescription]:
    """Return the tensors and the description in a policy's folder.

    Raises ConfigError with a sentence where a file is missing, damaged, or describes no policy of pgexp's.
    """
    try:
        tensors, fields = read_policy(folder)
    except ValueError as error:
        raise ConfigError([Problem("policy", str(error))]) from error
    values, problems = check(fields, parameters_of(PolicyDescription))
    if not problems:
        described = PolicyDescription(**values)
        problems = _contradictions(described)
    if problems:
        where = folder / DESCRIPTION_FILE
        raise ConfigError([Problem("policy", f"{where} describes no policy: {problem}") for problem in problems])
    return tensors, described


def _contradictions(described: PolicyDescription) -> list[Problem]:
    problems = []
    for key in ("observation_dtype", "action_dtype"):
        try:
            known = np.dtype(getattr(described, key)).kind in "biuf"
        except TypeError:
            known = False
        if not known:
            problems.append(Problem(key, f"given {getattr(described, key)!r}; must be a kind of number"))
    try:
        size = described.space.size
    except (KeyError, TypeError, ValueError):
        return [*problems, Problem("action_space", f"given {described.action_space!r}; must be a space's description")]
    if size != math.prod(described.action_shape):
        problems.append(Problem("action_shape", f"given {described.action_shape}; must hold {size} numbers"))
    if len(described.action_start) not in (1, size):
        problems.append(Problem("action_start", f"given {described.action_start}; must be one number, or {size}"))
    return problems
