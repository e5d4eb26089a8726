"""From the rewards of a batch to what each step's score is weighed with."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from pgexp.baselines.baseline import Baseline, Prediction, Predictor
from pgexp.functional.arrays import Flags, Floats
from pgexp.functional.batch import Batch, Credit
from pgexp.functional.diagnostics import deviation
from pgexp.functional.moments import Moments
from pgexp.functional.returns import discounted_sums, episode_sums, lambda_returns, n_step_returns, powers, starts

_ROUNDING = 1e-9  # relative; a smaller deviation of past returns is what rounding left of none


@dataclass(frozen=True)
class Estimate:
    """A batch's part of the policy gradient: ``sum_t weights_t grad log pi(a_t | s_t) / divisor``."""

    batch: Batch  # the steps that are learnt from
    rewards: Floats  # [S], scaled and clipped as configured
    credit: Credit
    values: Floats  # [S], the baseline's
    complete: Flags  # [E], whether an episode's rewards are all of its return: nothing is bootstrapped beyond them
    scale: Floats  # [S], what the advantages are multiplied by
    divisor: int  # episodes, or in segments steps

    @property
    def advantages(self) -> Floats:
        """The credits less the baseline, [S]: neither scaled nor discounted."""
        return self.credit.of_steps - self.values

    @property
    def weights(self) -> Floats:
        """What each step's score is weighed with, [S]."""
        return self.advantages * self.scale


@dataclass(frozen=True)
class Estimator:
    """The estimate ``1/K sum_episodes sum_t gamma^t A_t grad log pi(a_t | s_t)`` (Williams 1992), and its variants.

    In segments (`episodes` is None) it is the mean over steps. What the keys mean is told in the algorithm's YAML.
    """

    episodes: int | None
    gamma: float
    credit: Literal["reward_to_go", "total_return", "lambda_return", "n_step_return"]
    gae_lambda: float
    n_steps: int
    discount_states: bool
    reward_scale: float
    reward_clip: float | None
    return_scale: Literal["none", "std"]
    advantage_scale: Literal["none", "std", "episode_std"]
    time_limit: Literal["end", "bootstrap"]
    open_tail: Literal["bootstrap", "drop"]

    @property
    def segments(self) -> bool:
        """Whether a batch is of segments, not of whole episodes."""
        return self.episodes is None

    @property
    def predicted(self) -> bool:
        """Whether credits rest on what the baseline predicts of every step."""
        return self.credit in ("lambda_return", "n_step_return")

    def kept(self, batch: Batch) -> Batch:
        """Return what of the batch is learnt from: all of it, or its finished episodes where open tails are dropped."""
        return batch.select(~batch.open) if self.segments and self.open_tail == "drop" else batch

    def estimate(self, baseline: Baseline, batch: Batch, past: Moments) -> Estimate:
        """Return the estimate from what is kept of a batch, at least a step; `past` are past batches' returns.

        The first batch's rewards are divided by the deviation of its own returns: in other units than all that follow,
        they would mislead for long whatever remembers them.
        """
        prediction = baseline.predict(batch) if isinstance(baseline, Predictor) else None
        rewards = self._rewards(batch) / self._deviation(past if past.count else self.remember(past, batch))
        credit = self._credit(batch, rewards, prediction)
        values = baseline.values(batch, credit) if prediction is None else prediction.of_steps
        if values.shape != credit.of_steps.shape:
            name = type(baseline).__name__
            raise ValueError(f"{name} gave values of shape {values.shape} for {batch.steps} steps; give one a step")
        scale = self.occupancy(batch) / self._spread(credit.of_steps - values, credit)
        divisor = batch.steps if self.segments else len(batch.lengths)
        return Estimate(batch, rewards, credit, values, ~self._bootstrapped(batch), scale, divisor)

    def remember(self, past: Moments, batch: Batch) -> Moments:
        """Return the moments of past returns-to-go, unscaled, with this batch's among them."""
        if self.return_scale == "none":
            return past
        to_go = discounted_sums(self._rewards(batch), batch.lengths, self.gamma, np.zeros(len(batch.lengths)))
        return past.merged(to_go[:, None])

    def occupancy(self, batch: Batch) -> Floats:
        """Return what each step counts for, [S]: gamma^t where that factor is kept, else 1.

        The total return is discounted from the episode's start as it is: of it the factor is a part already.
        """
        kept = self.discount_states and self.credit != "total_return"
        return powers(self.gamma, int(batch.times.max(initial=0)) + 1)[batch.times] if kept else np.ones(batch.steps)

    def _rewards(self, batch: Batch) -> Floats:
        scaled = batch.rewards * self.reward_scale
        return scaled if self.reward_clip is None else np.clip(scaled, -self.reward_clip, self.reward_clip)

    def _deviation(self, past: Moments) -> float:
        """Return what rewards are divided by: the deviation of past returns, 1 where they did not vary."""
        if self.return_scale == "none":
            return 1.0
        found = float(np.sqrt(past.variance[0]))
        return found if found > _ROUNDING * abs(float(past.mean[0])) else 1.0

    def _credit(self, batch: Batch, rewards: Floats, prediction: Prediction | None) -> Credit:
        lengths = batch.lengths
        tails = np.zeros(len(lengths))
        if prediction is not None:
            tails = np.where(self._bootstrapped(batch), prediction.final, 0.0)
        if self.credit == "total_return":
            total = discounted_sums(rewards, lengths, self.gamma, tails)[starts(lengths)]
            return Credit(np.repeat(total, lengths), lengths, total, np.ones_like(lengths))
        if prediction is not None and self.credit == "lambda_return":
            of_steps = lambda_returns(rewards, lengths, prediction.of_steps, tails, self.gamma, self.gae_lambda)
        elif prediction is not None and self.credit == "n_step_return":
            of_steps = n_step_returns(rewards, lengths, prediction.of_steps, tails, self.gamma, self.n_steps)
        else:
            of_steps = discounted_sums(rewards, lengths, self.gamma, tails)
        return Credit(of_steps, lengths, episode_sums(of_steps, lengths), lengths)

    def _bootstrapped(self, batch: Batch) -> Flags:
        """Return which episodes, [E], were cut where their return goes on. A true termination never is one."""
        return batch.open | batch.truncated if self.time_limit == "bootstrap" else batch.open

    def _spread(self, advantage: Floats, credit: Credit) -> Floats:
        """Return what each step's advantage is divided by, [S]: the batch's deviation, its own episode's, or 1."""
        lengths = credit.lengths
        if self.advantage_scale == "none":
            return np.ones(len(advantage))
        if self.advantage_scale == "std":
            return np.full(len(advantage), deviation(advantage, credit.of_steps) or 1.0)
        cuts = starts(lengths)[1:]
        pairs = zip(np.split(advantage, cuts), np.split(credit.of_steps, cuts), strict=True)
        return np.repeat([deviation(*pair) or 1.0 for pair in pairs], lengths)
