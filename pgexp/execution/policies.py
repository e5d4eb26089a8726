"""Policies built from a config, or from a policy file."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from gymnasium import spaces

from pgexp.envs.spec import EnvSpec
from pgexp.execution.building import build, imported
from pgexp.execution.checkpoints import policy_of
from pgexp.functional.spaces import ActionSpace
from pgexp.learning.observer import Observer
from pgexp.learning.policy import Policy
from pgexp.networks.heads.head import Head
from pgexp.networks.module import network_of, require_shapes
from pgexp.networks.network import Network, RecurrentNetwork
from pgexp.networks.parameters import Parameters
from pgexp.schema.check import check
from pgexp.schema.config import Env, Option, RunConfig, parameters_of
from pgexp.schema.errors import ConfigError, Problem
from pgexp.schema.identity import plain
from pgexp.schema.names import POLICY_FOLDER
from pgexp.storage.policy import TENSORS_FILE
from pgexp.storage.policy_description import PolicyDescription, read_described
from pgexp.storage.secrets import find_masked, masked


@dataclass(frozen=True)
class TrainedPolicy:
    """A trained policy."""

    description: PolicyDescription
    policy: Policy
    parameters: Parameters


def make_policy(
    env: Env, network: Option, head: Option, dtype: str, shared: bool, shape: Sequence[int], space: ActionSpace
) -> Policy:
    """Return the policy of a config's options, for observations of a shape and a space to act in.

    shared: whether the network has an output more, the value of a baseline. Raises ConfigError.
    """
    size = math.prod(shape)
    built_head = build("head", head, Head, space=space)
    outputs = built_head.inputs + shared
    passed = {"inputs": size, "outputs": outputs, "shape": tuple(shape)}
    kind = imported("network", network, (Network, RecurrentNetwork, torch.nn.Module))
    make = partial(build, "network", network, kind, **passed)
    try:
        built_network = network_of(make) if issubclass(kind, torch.nn.Module) else make()
        if issubclass(kind, torch.nn.Module):
            require_shapes(built_network, size, outputs)
    except ValueError as error:
        raise ConfigError([Problem("network", f"{network.name} cannot be used: {error}")]) from error
    normalized = size if env.normalize_observations else None
    return Policy(Observer(getattr(torch, dtype), normalized, env.clip_observations), built_network, built_head, shared)


def describe(config: RunConfig, env: EnvSpec, policy: Policy, steps: int) -> dict[str, Any]:
    """Return all that it takes to build a run's policy again, as plain JSON; secrets are masked."""
    seen, acting = env.spaces
    described = PolicyDescription(
        seed=config.seed,
        steps=steps,
        dtype=config.dtype,
        env=masked(plain(config.env)),
        network=plain(config.network),
        head=plain(config.head),
        shared_value=config.shared,
        observation_shape=list(env.observation_shape),
        observation_dtype=str(seen.dtype) if isinstance(seen, spaces.Box) else config.dtype,
        pictures=env.pictures,
        action_shape=list(acting.shape or ()),
        action_dtype=str(acting.dtype),
        action_start=np.ravel(getattr(acting, "start", 0)).tolist(),
        action_space=env.action_space.described(),
        memory_size=policy.memory_size,
        greedy=config.evaluation.greedy,
        num_envs=config.evaluation.num_envs,
    )
    return asdict(described)


def load_policy_of_run(folder: Path, which: Literal["final", "best"] = "final") -> TrainedPolicy:
    """Return a run's policy: of its end, before that of its last checkpoint; or of its best evaluation in training.

    Raises ConfigError as `load_policy` does, or where there is none.
    """
    if which == "best":
        return trained_policy(*policy_of(folder, "best"))
    if not (folder / POLICY_FOLDER).is_dir():
        return trained_policy(*policy_of(folder, "last"))
    return load_policy(folder / POLICY_FOLDER)


def load_policy(folder: Path) -> TrainedPolicy:
    """Return the policy in a folder of its own.

    Raises ConfigError with a sentence where it is missing, damaged or no policy of pgexp's; nothing is unpickled.
    """
    tensors, described = read_described(folder)
    return trained_policy(tensors, described)


def trained_policy(tensors: Mapping[str, np.ndarray], described: PolicyDescription) -> TrainedPolicy:
    """Return the policy of a description, with these tensors. Raises ConfigError where they do not fit it."""
    env, network, head = read_env(described), _option("network", described.network), _option("head", described.head)
    shape, shared = described.observation_shape, described.shared_value
    policy = make_policy(env, network, head, described.dtype, shared, shape, described.space)
    try:
        wanted = policy.initial(described.seed)
    except Exception as error:  # a user's network may raise anything
        text = f"its parameters can't be made: {type(error).__name__}: {error}"
        raise ConfigError([Problem("policy", text)]) from error
    _require_fitting({name: _kind(tensor) for name, tensor in tensors.items()}, wanted)
    return TrainedPolicy(described, policy, {name: torch.from_numpy(tensors[name]) for name in wanted})


def read_env(described: PolicyDescription) -> Env:
    """Return the config of the environment that a policy was trained in. Raises ConfigError."""
    given = dict(described.env)
    wrappers, dynamics = given.pop("wrappers", []), given.pop("dynamics", None)
    values, problems = check(given, parameters_of(Env), "env")
    problems += [
        Problem(key, "a secret, and was masked when the run was recorded") for key in find_masked(given, "env")
    ]
    if not isinstance(wrappers, list):
        problems.append(Problem("env.wrappers", f"given {wrappers!r}; must be a list"))
    if problems:
        raise ConfigError(problems)
    options = [_option(f"env.wrappers[{i}]", wrapper) for i, wrapper in enumerate(wrappers)]
    own = None if dynamics is None else _option("env.dynamics", dynamics)
    return Env(**values | {"wrappers": tuple(options), "dynamics": own})


def _option(key: str, given: Any) -> Option:
    """Return the option that `identity.plain` told, nested ones included."""
    if not isinstance(given, Mapping) or not isinstance(given.get("_target_"), str):
        raise ConfigError([Problem(key, f"given {given!r}; must be a mapping with its own _target_")])
    arguments = {
        name: _option(f"{key}.{name}", value) if isinstance(value, Mapping) and "_target_" in value else value
        for name, value in given.items()
        if name != "_target_"
    }
    return Option(given["_target_"], arguments)


def _require_fitting(kept: Mapping[str, str], parameters: Parameters) -> None:
    wanted = {name: _kind(tensor.numpy()) for name, tensor in parameters.items()}
    missing, foreign = sorted(wanted.keys() - kept.keys()), sorted(kept.keys() - wanted.keys())
    texts = [f"lacks {', '.join(missing)}"] if missing else []
    texts += [f"has {', '.join(foreign)}, which the policy has not"] if foreign else []
    texts += [
        f"holds {name} as {kept[name]}, and the policy has it as {kind}"
        for name, kind in wanted.items()
        if name in kept and kept[name] != kind
    ]
    if texts:
        raise ConfigError(
            [Problem("policy", f"{TENSORS_FILE} does not fit its description: it {text}") for text in texts]
        )


def _kind(tensor: np.ndarray) -> str:
    return f"{tensor.dtype}{list(tensor.shape)}"
