"""Batches of given episodes, and an advantage estimator with the simplest settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from pgexp.algorithms.advantages import AdvantageEstimator, GradientEstimate, baseline_values
from pgexp.baselines.baseline import Baseline, Predictor
from pgexp.baselines.none import NoBaseline
from pgexp.functional.batch import Batch, Returns
from pgexp.functional.normalization import Moments


@dataclass(frozen=True)
class Episode:
    """An episode, or a segment's part of one: an observation, an action and a reward per step."""

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


EMPTY = Moments.empty(1)

# The simplest settings of an AdvantageEstimator.
PLAIN: Mapping[str, Any] = {
    "episodes": 8,
    "gamma": 1.0,
    "return_type": "reward_to_go",
    "gae_lambda": 1.0,
    "n_steps": 1,
    "discount_states": False,
    "reward_scale": 1.0,
    "reward_clip": None,
    "return_scale": "none",
    "advantage_scale": "none",
    "time_limit": "end",
    "partial_episodes": "bootstrap",
}


def estimator(**changed: Any) -> AdvantageEstimator:
    """Return an estimator with the simplest settings, except for those in `changed`."""
    return AdvantageEstimator(**{**PLAIN, **changed})


def estimate(how: AdvantageEstimator, baseline: Baseline, batch: Batch, past: Moments = EMPTY) -> GradientEstimate:
    """Return the estimate from a batch, as an update computes it. past: the moments of earlier returns."""
    prediction = baseline.predict(batch) if isinstance(baseline, Predictor) else None
    rewards = how.rewards(batch, past)
    returns = how.returns(batch, rewards, prediction)
    values = baseline_values(baseline, batch, returns, prediction)
    return how.estimate(batch, rewards, returns, values, returns.per_step - values)


def returns_of(how: AdvantageEstimator, batch: Batch) -> Returns:
    """Return the returns of a batch's steps."""
    return estimate(how, NoBaseline(), batch).returns
