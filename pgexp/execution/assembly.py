"""Builds a pack from its configs: the only place that chooses classes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import gymnasium as gym
import torch

from pgexp.baselines.baseline import Baseline, GreedyReplay, JointPredictor
from pgexp.envs.spec import EnvSpec, inspect
from pgexp.envs.wrappers import Wrap
from pgexp.execution.building import build, imported
from pgexp.execution.pictures import require_video
from pgexp.execution.policies import make_policy
from pgexp.functional.moments import Moments
from pgexp.learning.algorithm import Algorithm, Student
from pgexp.learning.collector import Collector
from pgexp.learning.evaluator import Evaluator
from pgexp.learning.learner import Learner
from pgexp.learning.observer import trainable
from pgexp.learning.policy import Policy
from pgexp.learning.replay import GreedyReplayer
from pgexp.learning.rollout import Rollout
from pgexp.learning.schedules import Schedule
from pgexp.learning.scores import episode_scores
from pgexp.networks.parameters import Parameters, stack, views
from pgexp.schema.config import Env, Option, RunConfig
from pgexp.schema.errors import ConfigError, Problem
from pgexp.schema.signatures import parameters as parameters_of_class
from pgexp.schema.streams import Key

StreamOfRun = Callable[[int, int, str, int], Key]
"""Gives the stream of a run's slot, for a purpose ("env" or "action") in an episode."""


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
    replayers: Sequence[GreedyReplayer]

    def close(self) -> None:
        """Release the environments; nothing is collected, replayed or evaluated after it."""
        self.collector.close()
        self.evaluator.close()
        for replayer in self.replayers:
            replayer.close()


def assemble(configs: Sequence[RunConfig]) -> Pack:
    """Build the pack of configs that are equal in all that shapes the program.

    Raises ConfigError where an option can't be built or options contradict each other.
    """
    first = configs[0]
    env = make_spec(first.env)
    if any(config.evaluation.video for config in configs):
        require_video(env, "evaluation.video")
    policy = make_policy_of(first, env)
    stacked = stack([policy.initial(config.seed) for config in configs])
    collector, stream = _collector(configs, env, policy)
    learners, replayers = [], []
    for run, config in enumerate(configs):
        parameters = views(stacked, run)
        replayers.append(GreedyReplayer(env, policy, parameters, config.slots, partial(stream, run)))
        learners.append(make_learner(config, env, policy, parameters, replayers[run]))
    return Pack(
        configs=configs,
        env=env,
        policy=policy,
        stacked=stacked,
        learners=learners,
        collector=collector,
        evaluator=Evaluator(env, policy, len(configs), first.evaluation.slots),
        replayers=replayers,
    )


def make_spec(env: Env) -> EnvSpec:
    """Return the spec of a config's environment."""
    wrappers: list[Wrap] = []
    for i, option in enumerate(env.wrappers):
        kind: Callable[..., gym.Env[Any, Any]] = imported(f"env.wrappers[{i}]", option, gym.Wrapper)
        wrappers.append(partial(kind, **option.arguments))
    return inspect(env.id, env.max_episode_steps, env.kwargs, wrappers, env.vectorization)


def make_policy_of(config: RunConfig, env: EnvSpec) -> Policy:
    """Return the policy that the runs of a config's structure share."""
    shape, space = env.observation_shape, env.action_space
    return make_policy(config.env, config.network, config.head, config.dtype, config.shared, shape, space)


def make_learner(
    config: RunConfig, env: EnvSpec, policy: Policy, parameters: Parameters, greedy: GreedyReplay
) -> Learner:
    """Return a run's learner; its parameters, [1, ...] each, are views of its pack's."""
    for tensor in trainable(parameters).values():
        tensor.requires_grad_()
    baseline = build(
        "baseline",
        config.baseline,
        Baseline,
        inputs=env.observation_size,
        shape=env.observation_shape,
        seed=config.seed,
        dtype=policy.dtype,
        **_discount(config.algorithm),
        scores=lambda batch, weights: episode_scores(policy, parameters, batch, [weights])[0],
        shared=partial(policy.predict, parameters),
        greedy=greedy,
    )
    if isinstance(baseline, JointPredictor) != config.shared:
        text = f"{type(baseline).__name__} has to be a JointPredictor if, and only if, its constructor takes `shared`"
        raise ConfigError([Problem("baseline", text)])
    episodes, diagnostics = config.batch.episodes, config.diagnostics
    algorithm = build("algorithm", config.algorithm, Algorithm, episodes=episodes, diagnostics=diagnostics)
    objections = algorithm.objections(baseline)
    if objections:
        raise ConfigError([Problem(*text.split(" ", 1)) for text in objections])
    params = list(trainable(parameters).values())
    optimizer = build("optimizer", config.optimizer, torch.optim.Optimizer, params=params)
    schedule = build("schedule", config.schedule, Schedule)
    student = Student(policy, parameters, optimizer, baseline)
    seen = Moments.none(env.observation_size)
    return Learner(student, algorithm, schedule, config.optimizer.arguments["lr"], config.budget, seen)


def _discount(algorithm: Option) -> dict[str, float]:
    """Return the algorithm's discount, as configured or by its own default, or nothing where it has none."""
    declared = parameters_of_class(algorithm.target)
    if "gamma" in algorithm.arguments:
        return {"gamma": algorithm.arguments["gamma"]}
    return {"gamma": declared["gamma"].default} if "gamma" in declared else {}


def _collector(configs: Sequence[RunConfig], env: EnvSpec, policy: Policy) -> tuple[Collector, StreamOfRun]:
    """Return the collector, and the streams of each run's slots."""
    first, slots = configs[0], configs[0].slots
    seeds = [config.seed for config in configs]

    def stream_of_run(run: int, slot: int, purpose: str, episode: int) -> Key:
        return (seeds[run], purpose, slot, episode)

    def stream(row: int, purpose: str, episode: int) -> Key:
        return stream_of_run(row // slots, row % slots, purpose, episode)

    rollout = Rollout(
        env,
        env.slots(len(configs) * slots),
        policy,
        len(configs),
        slots,
        stream,
        remembers=first.batch.steps is not None,
    )
    episodes = first.batch.episodes
    collector = Collector(rollout, len(configs), slots, episodes // slots if episodes else None, first.batch.steps)
    return collector, stream_of_run
