"""Trained policies: their description, and loading them from a run folder or a policy file."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from gymnasium import spaces

from pgexp.algorithms.policy import Policy
from pgexp.envs.spec import EnvSpec
from pgexp.execution.assembly import make_policy
from pgexp.execution.run_writer import read_checkpoint_policy
from pgexp.networks.network import Parameters
from pgexp.runs.policy import TENSORS_FILE, PolicyDescription, read_described_policy
from pgexp.runs.secrets import find_masked, masked
from pgexp.schema.check import check
from pgexp.schema.config import Env, Option, RunConfig, parameters_of
from pgexp.schema.errors import Problem, UserError
from pgexp.schema.identity import to_plain
from pgexp.schema.names import POLICY_FOLDER


@dataclass(frozen=True)
class TrainedPolicy:
    """A trained policy."""

    description: PolicyDescription
    policy: Policy
    parameters: Parameters


def describe(config: RunConfig, env: EnvSpec, policy: Policy, steps: int) -> dict[str, Any]:
    """Return what is needed to build a run's policy again, as plain JSON. Secrets are masked."""
    seen, acting = env.spaces
    described = PolicyDescription(
        seed=config.seed,
        steps=steps,
        dtype=config.dtype,
        env=masked(to_plain(config.env)),
        network=to_plain(config.network),
        head=to_plain(config.head),
        shared_value=config.shared,
        observation_shape=list(env.observation_shape),
        observation_dtype=str(seen.dtype) if isinstance(seen, spaces.Box) else config.dtype,
        pictures=env.images,
        action_shape=list(acting.shape or ()),
        action_dtype=str(acting.dtype),
        action_start=np.ravel(getattr(acting, "start", 0)).tolist(),
        action_space=env.action_space.description(),
        memory_size=policy.memory_size,
        greedy=config.evaluation.greedy,
        num_envs=config.evaluation.num_envs,
    )
    return asdict(described)


def load_run_policy(folder: Path, which: Literal["final", "best"] = "final") -> TrainedPolicy:
    """Return a run's final policy (before its end, that of the last checkpoint), or that of its best evaluation.

    Raises UserError if there is none, and as `load_policy` does.
    """
    if which == "best":
        return make_trained_policy(*read_checkpoint_policy(folder, "best"))
    if not (folder / POLICY_FOLDER).is_dir():
        return make_trained_policy(*read_checkpoint_policy(folder, "last"))
    return load_policy(folder / POLICY_FOLDER)


def load_policy(folder: Path) -> TrainedPolicy:
    """Return the policy in a policy folder. Nothing is unpickled. Raises UserError if it is missing or damaged."""
    return make_trained_policy(*read_described_policy(folder))


def make_trained_policy(tensors: Mapping[str, np.ndarray], description: PolicyDescription) -> TrainedPolicy:
    """Return the policy of a description with these parameters. Raises UserError if they do not fit it."""
    policy = make_policy(
        read_env(description),
        _option("network", description.network),
        _option("head", description.head),
        description.dtype,
        description.shared_value,
        description.observation_shape,
        description.space,
    )
    try:
        initial = policy.initial(description.seed)
    except Exception as error:  # a user's network may raise anything
        text = f"its parameters cannot be initialized: {type(error).__name__}: {error}"
        raise UserError.at("policy", text) from error
    _require_fitting(tensors, initial)
    return TrainedPolicy(description, policy, {name: torch.from_numpy(tensors[name]) for name in initial})


def read_env(description: PolicyDescription) -> Env:
    """Return the config of the environment that a policy was trained in. Raises UserError."""
    fields = dict(description.env)
    wrappers, dynamics = fields.pop("wrappers", []), fields.pop("dynamics", None)
    values, problems = check(fields, parameters_of(Env), "env")
    problems += [
        Problem(key, "is a secret that was masked when the run was recorded") for key in find_masked(fields, "env")
    ]
    if not isinstance(wrappers, list):
        problems.append(Problem("env.wrappers", f"must be a list (got {wrappers!r})"))
    if problems:
        raise UserError(problems)
    options = tuple(_option(f"env.wrappers[{i}]", wrapper) for i, wrapper in enumerate(wrappers))
    own = None if dynamics is None else _option("env.dynamics", dynamics)
    return Env(**values | {"wrappers": options, "dynamics": own})


def _option(key: str, fields: Any) -> Option:
    """Return the option from which `identity.to_plain` made these fields, nested options included."""
    if not isinstance(fields, Mapping) or not isinstance(fields.get("_target_"), str):
        raise UserError.at(key, f"must be a mapping with a _target_ (got {fields!r})")
    arguments = {
        name: _option(f"{key}.{name}", value) if isinstance(value, Mapping) and "_target_" in value else value
        for name, value in fields.items()
        if name != "_target_"
    }
    return Option(fields["_target_"], arguments)


def _require_fitting(tensors: Mapping[str, np.ndarray], parameters: Parameters) -> None:
    found = {name: _type(tensor) for name, tensor in tensors.items()}
    expected = {name: _type(tensor.numpy()) for name, tensor in parameters.items()}
    missing, unknown = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
    texts = [f"{', '.join(missing)} missing"] if missing else []
    texts += [f"{', '.join(unknown)} unknown to the policy"] if unknown else []
    texts += [
        f"{name} must be {kind} (got {found[name]})" for name, kind in expected.items() if found.get(name, kind) != kind
    ]
    if texts:
        raise UserError([Problem("policy", f"{TENSORS_FILE} does not fit the description: {text}") for text in texts])


def _type(tensor: np.ndarray) -> str:
    return f"{tensor.dtype}{list(tensor.shape)}"
