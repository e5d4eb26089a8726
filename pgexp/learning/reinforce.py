"""REINFORCE: the Monte Carlo policy gradient."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from pgexp.baselines.baseline import Baseline, Predictor
from pgexp.functional.arrays import Flags, Floats
from pgexp.functional.batch import Batch, Credit
from pgexp.functional.diagnostics import deviation
from pgexp.functional.returns import discounted_sums, episode_sums, starts
from pgexp.functional.surrogate import clip_gradients, gradient_norm, policy_gradient_loss
from pgexp.learning.algorithm import Algorithm, DivergenceError, Student
from pgexp.schema import names
from pgexp.schema.types import Fraction, NonNegativeFloat, PositiveFloat


class Reinforce(Algorithm):
    """One step of gradient ascent a batch along ``sum_t (G_t - b_t) grad log pi(a_t | s_t)``.

    Williams 1992; Sutton & Barto 2018, sec. 13.3 and 13.4. The loss is the sum over time and the mean over episodes,
    so that its gradient is that of the expected return; in segments it is the mean over steps.
    """

    def __init__(
        self,
        episodes: int | None,
        gamma: Fraction,
        credit: Literal["reward_to_go", "total_return"],
        discount_states: bool,
        advantage_scale: Literal["none", "std"],
        entropy_coefficient: NonNegativeFloat,
        max_grad_norm: PositiveFloat | None,
        time_limit: Literal["end", "bootstrap"],
        open_tail: Literal["bootstrap", "drop"],
    ) -> None:
        self._episodes = episodes
        self._segments = episodes is None
        self._gamma = gamma
        self._credited = credit
        self._total = credit == "total_return"
        self._discount_states = discount_states
        self._scale = advantage_scale == "std"
        self._entropy_coefficient = entropy_coefficient
        self._max_grad_norm = max_grad_norm
        self._bootstrap_limit = time_limit == "bootstrap"
        self._drop_open = open_tail == "drop"

    def objections(self, baseline: Baseline) -> Sequence[str]:
        """Return where the baseline lacks episodes to average, total returns meet cut episodes, or nothing predicts."""
        found = []
        predicts = isinstance(baseline, Predictor)
        least = baseline.least_episodes[self._credited]
        if self._episodes is not None and self._episodes < least:
            needs = f"{type(baseline).__name__} needs at least {least} for {self._credited}"
            found.append(f"algorithm.batch.episodes given {self._episodes}; {needs}")
        if self._total and self._segments:
            found.append("algorithm.credit=total_return needs whole episodes: set algorithm.batch.episodes, not steps")
        if self._total and self._bootstrap_limit:
            found.append("algorithm.credit=total_return ends at the time limit: set algorithm.time_limit=end")
        if self._bootstrap_limit and not predicts:
            found.append(_needs_prediction("algorithm.time_limit=bootstrap", baseline, "algorithm.time_limit=end"))
        if self._segments and not self._drop_open and not predicts:
            found.append(_needs_prediction("algorithm.open_tail=bootstrap", baseline, "algorithm.open_tail=drop"))
        return found

    def biases(self, baseline: Baseline) -> Sequence[str]:
        """Return the biased choices; each is a choice that people make, and none is hidden."""
        choices = {
            f"baseline {type(baseline).__name__}": baseline.biased,
            "advantage_scale=std": self._scale,
            "time_limit=bootstrap": self._bootstrap_limit,
            "open_tail=drop": self._segments and self._drop_open,
            "open_tail=bootstrap": self._segments and not self._drop_open,
            "discount_states=false": self._gamma < 1 and not self._discount_states,
        }
        return [choice for choice, holds in choices.items() if holds]

    def update(self, student: Student, batch: Batch) -> dict[str, float]:
        """Take one step: value the batch, follow its gradient, then let the baseline learn from it."""
        metrics = {}
        if self._segments and self._drop_open:
            whole = batch.select(~batch.open)
            metrics[names.DROPPED_STEPS] = float(batch.steps - whole.steps)
            batch = whole
        if not batch.steps:
            return metrics
        credit = self._credit(student.baseline, batch)
        advantage = credit.of_steps - student.baseline.values(batch, credit)
        metrics |= {
            names.ADVANTAGE_MEAN: float(advantage.mean()),
            names.ADVANTAGE_STD: float(advantage.std()),
        }
        metrics |= self._ascend(student, batch, self._weights(advantage, batch, credit))
        return metrics | student.baseline.update(batch, credit)

    def _credit(self, baseline: Baseline, batch: Batch) -> Credit:
        tails = np.zeros(len(batch.lengths))
        cut = self._bootstrapped(batch)
        if cut.any() and isinstance(baseline, Predictor):
            tails[cut] = baseline.predict(batch.final[cut])
        to_go = discounted_sums(batch.rewards, batch.lengths, self._gamma, tails)
        if not self._total:
            return Credit(to_go, batch.lengths, episode_sums(to_go, batch.lengths), batch.lengths)
        total = to_go[starts(batch.lengths)]
        return Credit(np.repeat(total, batch.lengths), batch.lengths, total, np.ones_like(batch.lengths))

    def _bootstrapped(self, batch: Batch) -> Flags:
        """Return which episodes, [E], were cut where their return goes on. A true termination never is one."""
        cut = batch.open
        return cut | batch.truncated if self._bootstrap_limit else cut

    def _weights(self, advantage: Floats, batch: Batch, credit: Credit) -> Floats:
        """Return what each step's score is weighed with, [S]: the advantage, scaled and discounted as configured."""
        spread = deviation(advantage, credit.of_steps) if self._scale else 0.0
        if spread > 0:
            advantage = advantage / spread
        return advantage * self._gamma**batch.times if self._discount_states else advantage

    def _ascend(self, student: Student, batch: Batch, weights: Floats) -> dict[str, float]:
        policy, distribution = student.policy, student.policy.distribution
        observations = torch.from_numpy(batch.observations).unsqueeze(0)
        actions, weight = torch.from_numpy(batch.actions), torch.from_numpy(weights).to(policy.dtype)
        outputs = policy.network(student.parameters, observations)[0]
        divisor = batch.steps if self._segments else len(batch.lengths)
        policy_loss = policy_gradient_loss(distribution.log_prob(outputs, actions), weight, divisor)
        entropy = distribution.entropy(outputs).mean()
        norm = self._step(student, policy_loss - self._entropy_coefficient * entropy)
        with torch.no_grad():
            after = policy.network(student.parameters, observations)[0]
            kl = distribution.kl(outputs, after).mean().item()
        if not np.isfinite(kl):
            raise DivergenceError(f"the policy after the step is not finite (gradient norm {norm})")
        return {
            names.POLICY_LOSS: policy_loss.item(),
            names.ENTROPY: entropy.item(),
            names.GRADIENT_NORM: norm,
            names.KL: kl,
        }

    def _step(self, student: Student, loss: Tensor) -> float:
        student.optimizer.zero_grad()
        loss.backward()
        gradients = [tensor.grad for tensor in student.parameters.values() if tensor.grad is not None]
        norm = gradient_norm(gradients).item()
        if not np.isfinite(norm):
            raise DivergenceError(f"the gradient's norm is {norm} (loss {loss.item()})")
        if self._max_grad_norm is not None:
            clip_gradients(gradients, norm, self._max_grad_norm)
        student.optimizer.step()
        return norm


def _needs_prediction(choice: str, baseline: Baseline, fix: str) -> str:
    name = type(baseline).__name__
    return f"{choice} needs a baseline that predicts an unseen observation's return, which {name} can't: set {fix}"
