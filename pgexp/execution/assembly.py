"""Assembly of a run from its config: the only place that chooses classes."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import gymnasium as gym
import torch

from pgexp.baselines.baseline import Baseline, GreedyReplay, JointPredictor
from pgexp.envs.compiled.arguments import DynamicsBank
from pgexp.envs.compiled.dynamics import Dynamics
from pgexp.envs.spec import EnvSpec, inspect, inspect_dynamics
from pgexp.envs.wrappers import Wrap
from pgexp.execution.building import build, imported
from pgexp.execution.pictures import require_video
from pgexp.execution.policies import make_policy
from pgexp.functional.moments import Moments
from pgexp.functional.optimizers import spare_dynamo
from pgexp.learning.agent import Agent, CompiledAgent, agent_of
from pgexp.learning.algorithm import Algorithm, Student
from pgexp.learning.collector import Collector
from pgexp.learning.evaluator import Evaluator
from pgexp.learning.learner import Learner
from pgexp.learning.observer import trainable
from pgexp.learning.policy import Policy
from pgexp.learning.recording import INITIAL_CAPACITY, Recording
from pgexp.learning.replay import GreedyReplayer
from pgexp.learning.rollout import CompiledRollout, Rollout, SteppedRollout
from pgexp.learning.schedules import Schedule
from pgexp.learning.scores import episode_scores
from pgexp.networks.parameters import ParameterVector
from pgexp.schema.config import Env, Option, RunConfig
from pgexp.schema.errors import ConfigError, Problem
from pgexp.schema.signatures import parameters as parameters_of_class


@dataclass(frozen=True)
class Run:
    """A run that is ready to train."""

    config: RunConfig
    env: EnvSpec
    policy: Policy
    parameters: ParameterVector
    learner: Learner
    collector: Collector
    evaluator: Evaluator
    replayer: GreedyReplayer

    def close(self) -> None:
        """Release the environments."""
        self.collector.close()
        self.evaluator.close()
        self.replayer.close()


def assemble(config: RunConfig) -> Run:
    """Build a run. Raises ConfigError if an option cannot be built or options contradict each other."""
    spare_dynamo()
    env = make_spec(config.env)
    if config.evaluation.video:
        require_video(env, "evaluation.video")
    policy = make_policy_of(config, env)
    parameters = ParameterVector.of(policy.initial(config.seed))
    replayer = GreedyReplayer(partial(_training_rollout, config, env, policy, parameters))
    learner = make_learner(config, env, policy, parameters, replayer)
    rollout = _training_rollout(config, env, policy, parameters, remembers=config.batch.steps is not None)
    episodes = config.batch.episodes
    return Run(
        config=config,
        env=env,
        policy=policy,
        parameters=parameters,
        learner=learner,
        collector=Collector(rollout, episodes // config.num_envs if episodes else None, config.batch.steps),
        evaluator=make_evaluator(env, policy, parameters, config.evaluation.num_envs),
        replayer=replayer,
    )


def make_spec(env: Env) -> EnvSpec:
    """Return the spec of a config's environment."""
    if env.dynamics is not None:
        own: Dynamics = build("env.dynamics", env.dynamics, Dynamics)
        return inspect_dynamics(own, env.id, env.max_episode_steps, env.vectorization)
    wrappers: list[Wrap] = []
    for i, option in enumerate(env.wrappers):
        kind: Callable[..., gym.Env[Any, Any]] = imported(f"env.wrappers[{i}]", option, gym.Wrapper)
        wrappers.append(partial(kind, **option.arguments))
    return inspect(env.id, env.max_episode_steps, env.kwargs, wrappers, env.vectorization)


def make_policy_of(config: RunConfig, env: EnvSpec) -> Policy:
    """Return the policy of a config."""
    shape, space = env.observation_shape, env.action_space
    return make_policy(config.env, config.network, config.head, config.dtype, config.shared, shape, space)


def make_learner(
    config: RunConfig, env: EnvSpec, policy: Policy, parameters: ParameterVector, greedy: GreedyReplay
) -> Learner:
    """Return a run's learner, which changes these parameters."""
    views = parameters.views
    for tensor in trainable(views).values():
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
        scores=lambda batch, weights: episode_scores(policy, views, batch, [weights])[0],
        shared=partial(policy.predict, views),
        greedy=greedy,
    )
    if isinstance(baseline, JointPredictor) != config.shared:
        text = f"{type(baseline).__name__} must be a JointPredictor if, and only if, its constructor takes `shared`"
        raise ConfigError([Problem("baseline", text)])
    episodes, diagnostics = config.batch.episodes, config.diagnostics
    algorithm = build("algorithm", config.algorithm, Algorithm, episodes=episodes, diagnostics=diagnostics)
    objections = algorithm.objections(baseline)
    if objections:
        raise ConfigError([Problem(*text.split(" ", 1)) for text in objections])
    optimizer = build("optimizer", config.optimizer, torch.optim.Optimizer, params=list(trainable(views).values()))
    schedule = build("schedule", config.schedule, Schedule)
    student = Student(policy, views, optimizer, baseline)
    seen = Moments.none(env.observation_size)
    return Learner(student, algorithm, schedule, config.optimizer.arguments["lr"], config.budget, seen)


def make_evaluator(env: EnvSpec, policy: Policy, parameters: ParameterVector, count: int) -> Evaluator:
    """Return an evaluator with so many environments. parameters: a policy's, which are copied."""

    def agent() -> Agent:
        own = ParameterVector.of(parameters.views)
        return agent_of(policy, own, env.action_space, count, env.observation_size, env.pictures)

    return Evaluator(agent, partial(_rollout, env))


def _training_rollout(
    config: RunConfig, env: EnvSpec, policy: Policy, parameters: ParameterVector, remembers: bool = False
) -> Rollout:
    """Return a rollout of a run's environments, on the streams of its training."""
    agent = agent_of(policy, parameters, env.action_space, config.num_envs, env.observation_size, env.pictures)
    recording = Recording(agent, env.masked, capacity=config.batch.steps or INITIAL_CAPACITY)
    rollout = _rollout(env, agent, recording, remembers)
    rollout.set_streams((config.seed, "env"), (config.seed, "action"))
    return rollout


def _rollout(env: EnvSpec, agent: Agent, recording: Recording, remembers: bool = False) -> Rollout:
    """Return the rollout of an agent: compiled if dynamics and agent are, else step by step, as are pictures."""
    dynamics = env.dynamics
    if dynamics is not None and isinstance(agent, CompiledAgent) and not env.pictures:
        return CompiledRollout(agent, recording, dynamics, env.max_episode_steps)
    if dynamics is not None:
        return SteppedRollout(agent, recording, DynamicsBank(dynamics, agent.lanes, env.max_episode_steps), remembers)
    return SteppedRollout(agent, recording, env.bank(len(agent.rows)), remembers)


def _discount(algorithm: Option) -> dict[str, float]:
    """Return the algorithm's discount, as configured or by its own default, or nothing if it has none."""
    declared = parameters_of_class(algorithm.target)
    if "gamma" in algorithm.arguments:
        return {"gamma": algorithm.arguments["gamma"]}
    return {"gamma": declared["gamma"].default} if "gamma" in declared else {}
