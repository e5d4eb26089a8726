"""Estimate of the memory that a run takes, from its shapes."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
from torch import Tensor

from pgexp.envs.spec import EnvSpec
from pgexp.functional.trees import captured
from pgexp.learning.learner import Learner
from pgexp.learning.policy import Policy
from pgexp.schema.config import RunConfig

_COPIES: Final = 9  # of a parameter: itself, its gradient, an optimizer's two, and what waits for its evaluation
_LONGEST: Final = 1_000  # steps of an episode that no limit ends
_OBJECT: Final = 1_000_000  # bytes of an environment that is an object: as of MuJoCo; most take less
_BESIDE: Final = 200_000  # bytes of a run's own objects in Python, and of what its allocator leaves between them


def footprint(config: RunConfig, env: EnvSpec, policy: Policy, learner: Learner) -> int:
    """Return the bytes, about, that a run adds to its pack: its state, environments and recordings."""
    rows = config.num_envs + config.evaluation.num_envs
    seen = env.observation_size * (1 if env.observation_dtype == "uint8" else policy.dtype.itemsize)
    acted = 8 * env.action_space.size
    longest = config.batch.steps or 2 * (env.max_episode_steps or _LONGEST)
    of_row = 2 * (seen + policy.memory_size * policy.dtype.itemsize)
    recorded = config.num_envs * longest * (seen + acted + 8)
    objects = 0 if env.dynamics is not None else rows * _OBJECT
    return _BESIDE + _COPIES * _bytes_learnt(learner) + rows * of_row + recorded + objects


def _bytes_learnt(learner: Learner) -> int:
    baseline = learner.student.baseline
    trees = [learner.student.parameters, *(captured(getattr(baseline, name)) for name in baseline.remembered)]
    return sum(leaf.nbytes for tree in trees for leaf in _leaves(tree))


def _leaves(tree: Any) -> Iterator[Tensor | np.ndarray]:
    if isinstance(tree, Tensor | np.ndarray):
        yield tree
    elif isinstance(tree, Mapping):
        for item in tree.values():
            yield from _leaves(item)
    elif isinstance(tree, list | tuple):
        for item in tree:
            yield from _leaves(item)
