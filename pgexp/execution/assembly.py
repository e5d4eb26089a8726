"""Builds a pack from its configs: the only place that chooses classes."""

import importlib
import inspect as python_inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any

import torch

from pgexp.baselines.baseline import Baseline
from pgexp.envs.spec import EnvSpec, inspect
from pgexp.functional.distributions import Categorical
from pgexp.learning.algorithm import Algorithm, Student
from pgexp.learning.collector import Collector
from pgexp.learning.evaluator import Evaluator
from pgexp.learning.learner import Learner
from pgexp.learning.policy import Policy
from pgexp.learning.rollout import Rollout
from pgexp.networks.network import Network
from pgexp.networks.parameters import Parameters, leaves, stack
from pgexp.schema.config import Option, RunConfig
from pgexp.schema.errors import ConfigError, Problem
from pgexp.schema.streams import Key


@dataclass(frozen=True)
class Pack:
    """Runs that train as one program, ready to train: what they share, and each one's learner."""

    configs: Sequence[RunConfig]
    env: EnvSpec
    policy: Policy
    stacked: Parameters  # [R, ...]; the learners' parameters are views of it
    learners: Sequence[Learner]
    collector: Collector
    evaluator: Evaluator

    def biases(self, run: int) -> Sequence[str]:
        """Return the choices that make a run's gradient estimate biased."""
        learner = self.learners[run]
        return learner.algorithm.biases(learner.student.baseline)


def assemble(configs: Sequence[RunConfig]) -> Pack:
    """Build the pack of configs that are equal in all that shapes the program.

    Raises ConfigError where an option can't be built or options contradict each other.
    """
    first = configs[0]
    if any(config.evaluation.video for config in configs):
        _require_video()
    env = inspect(first.env.id, first.env.max_episode_steps, first.env.kwargs)
    distribution = Categorical(env.action_count)
    network = build("network", first.network, Network, inputs=env.observation_size, outputs=distribution.outputs)
    policy = Policy(network, distribution, getattr(torch, first.dtype))
    stacked = stack([policy.initial(config.seed) for config in configs])
    learners = [_learner(config, policy, leaves(stacked, run), env) for run, config in enumerate(configs)]
    return Pack(
        configs=configs,
        env=env,
        policy=policy,
        stacked=stacked,
        learners=learners,
        collector=_collector(configs, env, policy),
        evaluator=Evaluator(env, policy, len(configs), first.evaluation.slots),
    )


def _require_video() -> None:
    missing = [name for name in ("imageio", "imageio_ffmpeg", "pygame") if find_spec(name) is None]
    if missing:
        text = f"true needs {', '.join(missing)}, an extra of the package: pip install 'pgexp[video]'"
        raise ConfigError([Problem("evaluation.video", text)])


def _learner(config: RunConfig, policy: Policy, parameters: Parameters, env: EnvSpec) -> Learner:
    baseline = build(
        "baseline",
        config.baseline,
        Baseline,
        inputs=env.observation_size,
        seed=config.seed,
        dtype=policy.dtype,
    )
    algorithm = build("algorithm", config.algorithm, Algorithm, episodes=config.batch.episodes)
    objections = algorithm.objections(baseline)
    if objections:
        raise ConfigError([Problem(*text.split(" ", 1)) for text in objections])
    optimizer = build("optimizer", config.optimizer, torch.optim.Optimizer, params=list(parameters.values()))
    student = Student(policy, parameters, optimizer, baseline)
    return Learner(student, algorithm, config.schedule, config.optimizer.arguments["lr"], config.budget)


def _collector(configs: Sequence[RunConfig], env: EnvSpec, policy: Policy) -> Collector:
    first, slots = configs[0], configs[0].slots
    seeds = [config.seed for config in configs]

    def stream(row: int, purpose: str, episode: int) -> Key:
        return (seeds[row // slots], purpose, row % slots, episode)

    rollout = Rollout(env, env.slots(len(configs) * slots), policy, len(configs), slots, stream)
    episodes = first.batch.episodes
    return Collector(rollout, len(configs), slots, episodes // slots if episodes else None, first.batch.steps)


def build(key: str, option: Option, kind: type[Any], **handed: Any) -> Any:
    """Return the option's object, of the kind its group asks for; it is handed what its constructor takes of `handed`.

    Raises ConfigError where the class can't be imported, is of another kind, or refuses its arguments.
    """
    made = _factory(key, option, kind)
    taken = python_inspect.signature(made).parameters
    try:
        return made(**{name: value for name, value in handed.items() if name in taken})
    except (TypeError, ValueError) as error:
        raise ConfigError([Problem(key, f"{option.name} refuses its arguments: {error}")]) from error


def _factory(key: str, option: Option, kind: type[Any]) -> Callable[..., Any]:
    found: Callable[..., Any] = _class(key, option, kind)
    nested = {
        name: _factory(f"{key}.{name}", value, object) for name, value in option.arguments.items()
        if isinstance(value, Option)
    }  # fmt: skip
    return partial(found, **{**option.arguments, **nested})


def _class(key: str, option: Option, kind: type[Any]) -> type[Any]:
    module, _, name = option.target.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ConfigError([Problem(f"{key}._target_", f"{option.target} can't be imported: {error}")]) from error
    if not (isinstance(found, type) and issubclass(found, kind)):
        wanted = f"{kind.__module__}.{kind.__name__}"
        raise ConfigError([Problem(f"{key}._target_", f"{option.target} is no {wanted}; derive it from that class")])
    return found
