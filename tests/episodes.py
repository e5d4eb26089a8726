"""Hand-made batches and the estimator in its plainest form, for tests of baselines and learning."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from pgexp.baselines.baseline import Baseline
from pgexp.baselines.none import NoBaseline
from pgexp.functional.batch import Batch, Credit
from pgexp.functional.moments import Moments
from pgexp.learning.estimator import Estimate, Estimator


@dataclass(frozen=True)
class Episode:
    """An episode, or the part that a segment holds: an observation, an action and a reward per step."""

    observations: Sequence[Sequence[float]]
    actions: Sequence[int]
    rewards: Sequence[float]
    end: Literal["terminated", "truncated", "open"] = "terminated"
    final: Sequence[float] | None = None
    first: int = 0


def batch_of(*episodes: Episode) -> Batch:
    """Return the batch of these episodes, in double precision."""
    size = len(episodes[0].observations[0])
    return Batch(
        observations=np.array([row for episode in episodes for row in episode.observations], dtype=np.float64),
        actions=np.array([action for episode in episodes for action in episode.actions]),
        rewards=np.array([reward for episode in episodes for reward in episode.rewards], dtype=np.float64),
        lengths=np.array([len(episode.rewards) for episode in episodes]),
        first=np.array([episode.first for episode in episodes]),
        terminated=np.array([episode.end == "terminated" for episode in episodes]),
        truncated=np.array([episode.end == "truncated" for episode in episodes]),
        final=np.array([episode.final or [0.0] * size for episode in episodes], dtype=np.float64),
        returns=np.array([float(sum(episode.rewards)) for episode in episodes]),
        environments=np.zeros(len(episodes), dtype=np.int64),
        numbers=np.arange(len(episodes)),
        memory=np.zeros((len(episodes), 0)),
    )


# The estimator in its plainest form.
PLAIN: Mapping[str, Any] = {
    "episodes": 8,
    "gamma": 1.0,
    "credit": "reward_to_go",
    "gae_lambda": 1.0,
    "n_steps": 1,
    "discount_states": False,
    "reward_scale": 1.0,
    "reward_clip": None,
    "return_scale": "none",
    "advantage_scale": "none",
    "time_limit": "end",
    "open_tail": "bootstrap",
}


def estimator(**changed: Any) -> Estimator:
    """Return the estimator in its plainest form, except for the settings in `changed`."""
    return Estimator(**{**PLAIN, **changed})


def estimate(how: Estimator, baseline: Baseline, batch: Batch) -> Estimate:
    """Return the estimate from a batch, without statistics of earlier returns."""
    return how.estimate(baseline, batch, Moments.none(1))


def credit_of(how: Estimator, batch: Batch) -> Credit:
    """Return the credit of a batch's steps."""
    return estimate(how, NoBaseline(), batch).credit
