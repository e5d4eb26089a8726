"""Assembly of a run from its config: the only place that chooses and imports classes."""

import importlib
import inspect
import math
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any

import gymnasium as gym
import numpy as np
import torch

from pgexp.algorithms.agent import Agent, CompiledAgent, make_agent
from pgexp.algorithms.algorithm import Algorithm, TrainState
from pgexp.algorithms.collector import Collector, GreedyReplayer
from pgexp.algorithms.diagnostics import per_episode_gradients
from pgexp.algorithms.evaluator import Evaluator
from pgexp.algorithms.policy import ObservationNormalizer, Policy, trainable
from pgexp.algorithms.rollout import INITIAL_CAPACITY, BatchBuffer, CompiledRollout, Rollout, SteppedRollout
from pgexp.algorithms.schedules import Schedule
from pgexp.algorithms.trainer import RunTrainer
from pgexp.baselines.baseline import Baseline, GreedyReplay, JointPredictor
from pgexp.envs import spec
from pgexp.envs.compiled.bank import DynamicsBank
from pgexp.envs.compiled.dynamics import Dynamics
from pgexp.envs.gymnasium_envs import Wrap
from pgexp.envs.spec import EnvSpec
from pgexp.functional.normalization import Moments
from pgexp.functional.optimization import prevent_dynamo_import
from pgexp.functional.spaces import ActionSpace
from pgexp.networks.heads.head import Head
from pgexp.networks.network import Network, ParameterVector, RecurrentNetwork
from pgexp.networks.torch_module import network_of, require_shapes
from pgexp.schema.config import Env, Option, RunConfig
from pgexp.schema.errors import Problem, UserError
from pgexp.schema.signatures import parameters as parameters_of_class

_SCREEN_VARIABLES = ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")  # any of them names a screen for windows


@dataclass(frozen=True)
class Run:
    """A run that is ready to train."""

    config: RunConfig
    env: EnvSpec
    policy: Policy
    parameters: ParameterVector
    trainer: RunTrainer
    collector: Collector
    evaluator: Evaluator
    replayer: GreedyReplayer

    def close(self) -> None:
        """Release the environments."""
        self.collector.close()
        self.evaluator.close()
        self.replayer.close()


def assemble(config: RunConfig) -> Run:
    """Build a run. Raises UserError if an option cannot be built or if options contradict each other."""
    prevent_dynamo_import()
    env = make_spec(config.env)
    if config.evaluation.video:
        require_video(env, "evaluation.video")
    shape, space = env.observation_shape, env.action_space
    policy = make_policy(config.env, config.network, config.head, config.dtype, config.shared, shape, space)
    parameters = ParameterVector.of(policy.initial(config.seed))
    replayer = GreedyReplayer(partial(_training_rollout, config, env, policy, parameters))
    rollout = _training_rollout(config, env, policy, parameters, resumable=config.batch.steps is not None)
    episodes = config.batch.episodes
    collector = Collector(rollout, episodes // config.num_envs if episodes else None, config.batch.steps)
    return Run(
        config=config,
        env=env,
        policy=policy,
        parameters=parameters,
        trainer=make_trainer(config, env, policy, parameters, collector, replayer),
        collector=collector,
        evaluator=make_evaluator(env, policy, parameters, config.evaluation.num_envs),
        replayer=replayer,
    )


def make_spec(env: Env) -> EnvSpec:
    """Return the spec of a config's environment."""
    if env.dynamics is not None:
        dynamics: Dynamics = instantiate("env.dynamics", env.dynamics, Dynamics)
        return spec.inspect_dynamics(dynamics, env.id, env.max_episode_steps, env.vectorization)
    wrappers: list[Wrap] = []
    for i, option in enumerate(env.wrappers):
        wrapper: Callable[..., gym.Env[Any, Any]] = import_class(f"env.wrappers[{i}]", option, gym.Wrapper)
        wrappers.append(partial(wrapper, **option.arguments))
    return spec.inspect(env.id, env.max_episode_steps, env.kwargs, wrappers, env.vectorization)


def make_policy(
    env: Env, network: Option, head: Option, dtype: str, shared: bool, shape: Sequence[int], space: ActionSpace
) -> Policy:
    """Return the policy for observations of a shape and actions of a space. Raises UserError.

    shared: whether the network has one output more, the value that a baseline predicts.
    """
    inputs = math.prod(shape)
    built_head = instantiate("head", head, Head, space=space)
    outputs = built_head.inputs + shared
    network_class = import_class("network", network, (Network, RecurrentNetwork, torch.nn.Module))
    make = partial(instantiate, "network", network, network_class, inputs=inputs, outputs=outputs, shape=tuple(shape))
    try:
        if issubclass(network_class, torch.nn.Module):
            built_network = network_of(make)
            require_shapes(built_network, inputs, outputs)
        else:
            built_network = make()
    except ValueError as error:
        raise UserError.at("network", f"{network.name} cannot be used: {error}") from error
    normalized = inputs if env.normalize_observations else None
    normalizer = ObservationNormalizer(getattr(torch, dtype), normalized, env.clip_observations)
    return Policy(normalizer, built_network, built_head, shared)


def make_trainer(
    config: RunConfig,
    env: EnvSpec,
    policy: Policy,
    parameters: ParameterVector,
    collector: Collector,
    greedy: GreedyReplay,
) -> RunTrainer:
    """Return a run's trainer, which updates these parameters."""
    views = parameters.views
    for tensor in trainable(views).values():
        tensor.requires_grad_()
    baseline = instantiate(
        "baseline",
        config.baseline,
        Baseline,
        inputs=env.observation_size,
        shape=env.observation_shape,
        seed=config.seed,
        dtype=policy.dtype,
        **_discount(config.algorithm),
        per_episode_gradients=lambda batch, weights: per_episode_gradients(policy, views, batch, [weights])[0],
        shared=partial(policy.predict, views),
        greedy=greedy,
    )
    if isinstance(baseline, JointPredictor) != config.shared:
        text = f"{type(baseline).__name__} must be a JointPredictor if, and only if, its constructor takes `shared`"
        raise UserError.at("baseline", text)
    episodes, diagnostics = config.batch.episodes, config.diagnostics
    algorithm = instantiate("algorithm", config.algorithm, Algorithm, episodes=episodes, diagnostics=diagnostics)
    conflicts = algorithm.config_conflicts(baseline)
    if conflicts:
        raise UserError([Problem(*text.split(" ", 1)) for text in conflicts])
    optimizer = instantiate(
        "optimizer", config.optimizer, torch.optim.Optimizer, params=list(trainable(views).values())
    )
    schedule = instantiate("schedule", config.schedule, Schedule)
    state = TrainState(policy, views, optimizer, baseline)
    moments = Moments.empty(env.observation_size)
    return RunTrainer(state, collector, algorithm, schedule, config.budget, moments)


def make_evaluator(env: EnvSpec, policy: Policy, parameters: ParameterVector, count: int) -> Evaluator:
    """Return an evaluator with a number of environments. The policy's parameters are copied."""

    def agent() -> Agent:
        own = ParameterVector.of(parameters.views)
        return make_agent(policy, own, env.action_space, count, env.observation_size, env.images)

    return Evaluator(agent, partial(_rollout, env))


def _training_rollout(
    config: RunConfig, env: EnvSpec, policy: Policy, parameters: ParameterVector, resumable: bool = False
) -> Rollout:
    """Return a rollout of a run's environments on its training streams."""
    agent = make_agent(policy, parameters, env.action_space, config.num_envs, env.observation_size, env.images)
    buffer = BatchBuffer(agent, env.masked, capacity=config.batch.steps or INITIAL_CAPACITY)
    rollout = _rollout(env, agent, buffer, resumable)
    rollout.set_streams((config.seed, "env"), (config.seed, "action"))
    return rollout


def _rollout(env: EnvSpec, agent: Agent, buffer: BatchBuffer, resumable: bool = False) -> Rollout:
    """Return an agent's rollout: compiled if dynamics and agent are compiled and there are no images, else stepped."""
    dynamics = env.dynamics
    if dynamics is not None and isinstance(agent, CompiledAgent) and not env.images:
        return CompiledRollout(agent, buffer, dynamics, env.max_episode_steps)
    if dynamics is not None:
        return SteppedRollout(agent, buffer, DynamicsBank(dynamics, agent.arrays, env.max_episode_steps), resumable)
    return SteppedRollout(agent, buffer, env.bank(len(agent.rows)), resumable)


def _discount(algorithm: Option) -> dict[str, float]:
    """Return the algorithm's discount, from the config or its default, or nothing if it has none."""
    declared = parameters_of_class(algorithm.target)
    if "gamma" in algorithm.arguments:
        return {"gamma": algorithm.arguments["gamma"]}
    return {"gamma": declared["gamma"].default} if "gamma" in declared else {}


def instantiate(key: str, option: Option, kind: type[Any] | tuple[type[Any], ...], **available: Any) -> Any:
    """Return the object of an option, which must be of a kind.

    Its constructor, and those of nested options, receive their arguments and what they accept of `available`. Raises
    UserError if the class cannot be imported, is of another kind, or refuses its arguments.
    """
    try:
        return _factory(key, option, kind)(**available)
    except UserError:
        raise
    except (TypeError, ValueError) as error:
        raise UserError.at(key, f"{option.name} refuses its arguments: {error}") from error
    except Exception as error:  # a user's constructor may raise anything
        raise UserError.at(key, f"{option.name} cannot be built: {_describe(error)}") from error


def _factory(key: str, option: Option, kind: type[Any] | tuple[type[Any], ...]) -> Callable[..., Any]:
    """Return a function that builds an option from what is available. Nested options become such functions."""
    constructor: Callable[..., Any] = import_class(key, option, kind)
    accepted = inspect.signature(constructor).parameters
    arguments = {
        name: _factory(f"{key}.{name}", value, object) if isinstance(value, Option) else value
        for name, value in option.arguments.items()
    }

    def build(**available: Any) -> Any:
        return constructor(**{name: value for name, value in available.items() if name in accepted}, **arguments)

    return build


def import_class(key: str, option: Option, kind: type[Any] | tuple[type[Any], ...]) -> type[Any]:
    """Return the class of an option. Raises UserError if it cannot be imported or is of another kind."""
    module, _, name = option.target.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except Exception as error:  # a user's module may raise anything
        text = f"{option.target} cannot be imported: {_describe(error)}"
        raise UserError.at(f"{key}._target_", text) from error
    if not (isinstance(found, type) and issubclass(found, kind)):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        expected = " or ".join(f"{one.__module__}.{one.__name__}" for one in kinds)
        raise UserError.at(f"{key}._target_", f"{option.target} must be a subclass of {expected}")
    return found


def _describe(error: Exception) -> str:
    return str(error) if isinstance(error, ImportError | AttributeError) else f"{type(error).__name__}: {error}"


def require_video(env: EnvSpec, key: str) -> None:
    """Raise UserError, at a key of the config, if no video of the environment can be made here."""
    missing = [name for name in ("imageio", "imageio_ffmpeg", "pygame") if find_spec(name) is None]
    if missing:
        text = f"needs {', '.join(missing)} (got true). Install the extra: pip install 'pgexp[video]'"
        raise UserError.at(key, text)
    try:
        filmed = env.video_bank()
        filmed.start(np.array([0]), [0])
        filmed.frame(0)
        filmed.close()
    except Exception as error:  # a renderer may raise anything
        reason = f"{type(error).__name__}: {str(error).strip() or 'it renders no images'}"
        hint = ". Without a screen, MuJoCo needs MUJOCO_GL=egl or osmesa" if type(error).__module__ == "mujoco" else ""
        raise UserError.at(key, f"{env.id} cannot be rendered here: {reason}{hint}") from error


def require_window(env: EnvSpec, key: str) -> None:
    """Raise UserError, at a key of the config, if no window can show the environment here."""
    if sys.platform == "linux" and not any(os.environ.get(name) for name in _SCREEN_VARIABLES):
        text = "needs a screen (got human, and DISPLAY is not set). To make a video instead: video=true"
        raise UserError.at(key, text)
    made = env.make()
    modes = made.metadata.get("render_modes") or []
    made.close()
    if not {"human", "rgb_array"} & set(modes):
        raise UserError.at(key, f"{env.id} cannot be shown: it renders no images (got human)")
