"""Builds a run of each configuration before anything is recorded: it can be built, and there is something to tell."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from pgexp.envs.spec import EnvSpec
from pgexp.execution.assembly import make_learner, make_policy_of, make_spec
from pgexp.execution.footprint import footprint
from pgexp.execution.pictures import require_video
from pgexp.learning.policy import Policy
from pgexp.learning.replay import GreedyReplayer
from pgexp.networks.parameters import stack
from pgexp.schema import names
from pgexp.schema.config import RunConfig
from pgexp.schema.identity import configuration_key, structure_key


@dataclass(frozen=True)
class Trial:
    """What building a run told."""

    tags: dict[str, str]  # of the run in MLflow
    footprint: int  # bytes that it takes in a pack, about


def try_out(configs: Sequence[RunConfig]) -> list[Trial]:
    """Build a run of each configuration; return what it told, for each config. Raises ConfigError.

    One run of each structure would not do: what an optimizer or a baseline refuses may be a value.
    """
    built: dict[str, tuple[EnvSpec, Policy]] = {}
    found: dict[str, Trial] = {}
    trials = []
    for config in configs:
        structure, key = structure_key(config), configuration_key(config)
        if structure not in built:
            env = make_spec(config.env)
            built[structure] = env, make_policy_of(config, env)
        if config.evaluation.video:  # which is no part of a key
            require_video(built[structure][0], "evaluation.video")
        if key not in found:
            found[key] = _tried(config, *built[structure])
        trials.append(found[key])
    return trials


def _tried(config: RunConfig, env: EnvSpec, policy: Policy) -> Trial:
    parameters = stack([policy.initial(config.seed)])
    stream = partial(_no_stream, config.seed)
    greedy = GreedyReplayer(env, policy, parameters, config.slots, stream)
    learner = make_learner(config, env, policy, parameters, greedy)
    tags = {}
    if env.reward_threshold is not None:
        tags[names.TAG_THRESHOLD] = str(env.reward_threshold)
    biases = learner.algorithm.biases(learner.student.baseline)
    if biases:
        tags[names.TAG_BIASED] = ", ".join(biases)
    return Trial(tags, footprint(config, env, policy, learner))


def _no_stream(seed: int, row: int, purpose: str, episode: int) -> tuple[int, str, int, int]:
    """Return a stream as a pack's run has it; here nothing is drawn."""
    return (seed, purpose, row, episode)
