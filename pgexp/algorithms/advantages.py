"""Advantages: returns and weights of a batch's steps, and conflicts and biases of their settings."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pgexp.baselines.baseline import Baseline, Prediction, Predictor
from pgexp.functional.arrays import Flags, Floats
from pgexp.functional.batch import Batch, Returns
from pgexp.functional.diagnostics import deviation
from pgexp.functional.normalization import Moments
from pgexp.functional.returns import discounted_sums, episode_sums, lambda_returns, n_step_returns, powers, starts

ReturnType = Literal["reward_to_go", "total_return", "lambda_return", "n_step_return"]

_ROUNDING = 1e-9  # relative; a smaller deviation of past returns is rounding


@dataclass(frozen=True)
class GradientEstimate:
    """A policy-gradient estimate of a batch: ``sum_t weights_t grad log pi(a_t | s_t) / divisor``."""

    batch: Batch  # the steps of the estimate
    rewards: Floats  # [S], scaled and clipped
    returns: Returns  # G_t
    values: Floats  # b_t, [S]
    advantages: Floats  # A_t = G_t - b_t, [S], neither scaled nor discounted
    scale: Floats  # [S], the factors on the advantages
    divisor: int  # the number of episodes; in segments of steps
    complete: Flags  # [E], whether an episode's return has no bootstrapped part

    @property
    def weights(self) -> Floats:
        """The weight of each step's ``grad log pi``, [S]."""
        return self.advantages * self.scale


@dataclass(frozen=True)
class AdvantageEstimator:
    """Settings of ``1/K sum_episodes sum_t gamma^t A_t grad log pi(a_t | s_t)`` (Williams 1992) and its variants.

    In segments (`episodes` is None) it is the mean over steps. The algorithm's YAML file describes the settings.
    """

    episodes: int | None
    gamma: float
    return_type: ReturnType
    gae_lambda: float
    n_steps: int
    discount_states: bool
    reward_scale: float
    reward_clip: float | None
    return_scale: Literal["none", "std"]
    advantage_scale: Literal["none", "std", "episode_std"]
    time_limit: Literal["end", "bootstrap"]
    partial_episodes: Literal["bootstrap", "drop"]

    @property
    def segments(self) -> bool:
        """Whether a batch consists of segments, not of whole episodes."""
        return self.episodes is None

    def select(self, batch: Batch) -> Batch:
        """Return the steps to learn from: all, or those of ended episodes if partial episodes are dropped."""
        return batch.select(~batch.open) if self.segments and self.partial_episodes == "drop" else batch

    def rewards(self, batch: Batch, past: Moments) -> Floats:
        """Return the rewards to learn from, [S]: scaled, clipped, and divided by the deviation of past returns.

        past: the moments of past batches' returns-to-go. The first batch uses its own deviation; otherwise its returns
        would have other units than all later ones.
        """
        rewards = self._scaled(batch)
        if self.return_scale == "none":
            return rewards
        moments = past if past.count else self.merge_returns(past, batch)
        found = float(np.sqrt(moments.variance[0]))
        return rewards / (found if found > _ROUNDING * abs(float(moments.mean[0])) else 1.0)

    def merge_returns(self, past: Moments, batch: Batch) -> Moments:
        """Return the moments of past returns-to-go, unscaled, including this batch's."""
        if self.return_scale == "none":
            return past
        to_go = discounted_sums(self._scaled(batch), batch.lengths, self.gamma, np.zeros(len(batch.lengths)))
        return past.merged(to_go[:, None])

    def returns(self, batch: Batch, rewards: Floats, prediction: Prediction | None) -> Returns:
        """Return ``G_t`` of each step by `return_type`. prediction: of the baseline, if it predicts."""
        lengths = batch.lengths
        tails = np.zeros(len(lengths))
        if prediction is not None:
            tails = np.where(self._bootstrapped(batch), prediction.final, 0.0)
        if self.return_type == "total_return":
            total = discounted_sums(rewards, lengths, self.gamma, tails)[starts(lengths)]
            return Returns(np.repeat(total, lengths), lengths, total, np.ones_like(lengths))
        if prediction is not None and self.return_type == "lambda_return":
            per_step = lambda_returns(rewards, lengths, prediction.per_step, tails, self.gamma, self.gae_lambda)
        elif prediction is not None and self.return_type == "n_step_return":
            per_step = n_step_returns(rewards, lengths, prediction.per_step, tails, self.gamma, self.n_steps)
        else:
            per_step = discounted_sums(rewards, lengths, self.gamma, tails)
        return Returns(per_step, lengths, episode_sums(per_step, lengths), lengths)

    def estimate(
        self, batch: Batch, rewards: Floats, returns: Returns, values: Floats, advantages: Floats
    ) -> GradientEstimate:
        """Return the gradient estimate of these advantages, with their scale and divisor."""
        scale = self.state_weights(batch) / self._advantage_deviation(advantages, returns)
        divisor = batch.steps if self.segments else len(batch.lengths)
        return GradientEstimate(batch, rewards, returns, values, advantages, scale, divisor, ~self._bootstrapped(batch))

    def state_weights(self, batch: Batch) -> Floats:
        """Return the weight of each step's state, [S]: gamma^t if `discount_states`, else 1.

        The total return is discounted from the episode's start, so it contains the factor already.
        """
        if not self.discount_states or self.return_type == "total_return":
            return np.ones(batch.steps)
        return powers(self.gamma, int(batch.times.max(initial=0)) + 1)[batch.times]

    def config_conflicts(self, baseline: Baseline) -> Iterator[str]:
        """Yield one message per conflict between the settings and the baseline; each begins with a config key."""
        name, least = type(baseline).__name__, baseline.min_episodes.get(self.return_type, 1)
        if self.segments and baseline.requires_whole_episodes:
            yield f"algorithm.batch.steps must be null, because {name} needs episodes. Set algorithm.batch.episodes"
        if self.episodes is not None and self.episodes < least:
            yield f"algorithm.batch.episodes must be at least {least} for {name} (got {self.episodes})"
        required = baseline.required_return_type
        if required is not None and self.return_type != required:
            yield f"algorithm.return_type must be {required} for {name} (got {self.return_type})"
        if self.return_type == "total_return" and self.segments:
            yield "algorithm.batch.steps must be null for total_return. Set algorithm.batch.episodes"
        if self.return_type == "total_return" and self.time_limit == "bootstrap":
            yield "algorithm.time_limit must be end for total_return (got bootstrap)"
        if baseline.collects_rewards:
            plain = {"reward_scale": (1.0, "1"), "reward_clip": (None, "null"), "return_scale": ("none", "none")}
            for key, (value, text) in plain.items():
                if getattr(self, key) != value:
                    reason = f"because {name} collects unscaled rewards (got {getattr(self, key)})"
                    yield f"algorithm.{key} must be {text}, {reason}"
        if not isinstance(baseline, Predictor):
            needs = {
                ("time_limit", "bootstrap", "end"): self.time_limit == "bootstrap",
                ("partial_episodes", "bootstrap", "drop"): self.segments and self.partial_episodes == "bootstrap",
                ("return_type", self.return_type, "reward_to_go"): self.return_type
                in ("lambda_return", "n_step_return"),
            }
            for (key, value, alternative), is_needed in needs.items():
                if is_needed:
                    yield (
                        f"algorithm.{key} must be {alternative}, because {name} cannot predict returns of unseen "
                        f"observations (got {value})"
                    )

    def bias_sources(self, baseline: Baseline) -> list[str]:
        """Return the settings that bias the gradient estimate, a few words each."""
        bootstraps = self.return_type == "lambda_return" and self.gae_lambda < 1
        discounted = self.discount_states or self.return_type == "total_return" or self.gamma == 1
        choices = {
            f"baseline {type(baseline).__name__}": baseline.biased,
            f"gae_lambda={self.gae_lambda}": bootstraps,
            f"n_steps={self.n_steps}": self.return_type == "n_step_return",
            f"reward_clip={self.reward_clip}": self.reward_clip is not None,
            f"advantage_scale={self.advantage_scale}": self.advantage_scale != "none",
            "time_limit=bootstrap": self.time_limit == "bootstrap",
            f"partial_episodes={self.partial_episodes}": self.segments,
            "discount_states=false": not discounted,
        }
        return [choice for choice, is_biased in choices.items() if is_biased]

    def _scaled(self, batch: Batch) -> Floats:
        scaled = batch.rewards * self.reward_scale
        return scaled if self.reward_clip is None else np.clip(scaled, -self.reward_clip, self.reward_clip)

    def _bootstrapped(self, batch: Batch) -> Flags:
        """Return the episodes, [E], whose return includes a prediction at their end; never a terminated one."""
        return batch.open | batch.truncated if self.time_limit == "bootstrap" else batch.open

    def _advantage_deviation(self, advantages: Floats, returns: Returns) -> Floats:
        """Return the divisor of each step's advantage, [S]: the batch's deviation, its episode's, or 1."""
        lengths = returns.lengths
        if self.advantage_scale == "none":
            return np.ones(len(advantages))
        if self.advantage_scale == "std":
            return np.full(len(advantages), deviation(advantages, returns.per_step) or 1.0)
        cuts = starts(lengths)[1:]
        pairs = zip(np.split(advantages, cuts), np.split(returns.per_step, cuts), strict=True)
        return np.repeat([deviation(*pair) or 1.0 for pair in pairs], lengths)


def baseline_values(baseline: Baseline, batch: Batch, returns: Returns, prediction: Prediction | None) -> Floats:
    """Return ``b_t`` of each step, [S]; a prediction is reused. Raises ValueError if the shape is wrong."""
    values = baseline.values(batch, returns) if prediction is None else prediction.per_step
    if values.shape != returns.per_step.shape:
        text = f"{type(baseline).__name__}.values must return shape {returns.per_step.shape}, one value per step"
        raise ValueError(f"{text} (got {values.shape})")
    return values
