"""Diagnostics of updates; they change nothing that is learnt."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from pgexp.baselines.baseline import Predictor
from pgexp.functional.arrays import Floats
from pgexp.functional.diagnostics import dead_units, explained_variance, sum_variance
from pgexp.functional.returns import discounted_sums
from pgexp.functional.surrogate import gradient_norm, inner_product
from pgexp.learning.algorithm import Student
from pgexp.learning.estimator import Estimate
from pgexp.learning.scores import episode_scores
from pgexp.schema import names

_EVERY = 10  # updates between two of which light diagnostics describe the policy
_TINY = 1e-30  # a gradient of a smaller norm has no direction


@dataclass(frozen=True)
class Diagnostics:
    """How many metrics each update records: all ("full"), the cheap ones ("light"), or none ("off")."""

    level: Literal["full", "light", "off"]

    def before(self, student: Student, estimate: Estimate, gamma: float) -> dict[str, float]:
        """Return the metrics of an estimate before the step along it."""
        if self.level == "off":
            return {}
        metrics = _of_values(student, estimate, gamma)
        if self.level == "full" and len(estimate.batch.lengths) > 1:
            metrics |= _of_episodes(student, estimate)
        return metrics

    def after(self, student: Student, estimate: Estimate, before: Tensor, gradient: Tensor) -> dict[str, float]:
        """Return the metrics after the step.

        before: [S, P], the distributions' parameters before it; gradient: [P], of the loss.
        """
        if self.level == "off":
            return {}
        metrics = _of_gradient(student, gradient)
        if self.level == "full" or (student.traces.updates - 1) % _EVERY == 0:
            metrics |= _of_policy(student, estimate, before)
        return metrics


def _of_values(student: Student, estimate: Estimate, gamma: float) -> dict[str, float]:
    advantages = estimate.advantages
    metrics = {names.ADVANTAGE_MEAN: float(advantages.mean()), names.ADVANTAGE_STD: float(advantages.std())}
    explained = explained_variance(estimate.values, estimate.credit.of_steps)
    if explained is not None:
        metrics[names.EXPLAINED_VARIANCE] = explained
    batch = estimate.batch
    if isinstance(student.baseline, Predictor) and estimate.complete.any():
        complete = np.repeat(estimate.complete, batch.lengths)
        metrics[names.VALUE_BIAS] = float((estimate.values - _returned(estimate, gamma))[complete].mean())
    return metrics


def _returned(estimate: Estimate, gamma: float) -> Floats:
    """Return each step's return-to-go, or whole return, [S]; it is meaningful if the episode is complete."""
    lengths = estimate.batch.lengths
    if estimate.credit.of_episodes:
        return estimate.credit.of_steps
    return discounted_sums(estimate.rewards, lengths, gamma, np.zeros(len(lengths)))


def _of_episodes(student: Student, estimate: Estimate) -> dict[str, float]:
    """Return the variance of the gradient estimate, from the differences of its episodes, and ratios of it.

    The signal-to-noise ratio is ``|g|^2 / Var - 1``: of an estimate of zero, |g|^2 is the variance on average.
    """
    with_baseline, scale = estimate.weights, estimate.scale
    without = estimate.credit.of_steps * scale
    pair = episode_scores(student.policy, student.parameters, estimate.batch, [with_baseline, without])
    ours, plain = (scores / estimate.divisor for scores in pair)
    variance, of_plain = sum_variance(ours), sum_variance(plain)
    metrics = {names.GRADIENT_VARIANCE: variance}
    if variance > _TINY:
        metrics[names.GRADIENT_SNR] = float(np.square(ours.sum(0)).sum()) / variance - 1.0
    if of_plain > _TINY:
        metrics[names.VARIANCE_LEFT] = variance / of_plain
    return metrics


def _of_gradient(student: Student, gradient: Tensor) -> dict[str, float]:
    previous, student.traces.gradient = student.traces.gradient, gradient
    if previous is None:
        return {}
    norms = gradient_norm([previous]) * gradient_norm([gradient])
    return {names.GRADIENT_COSINE: inner_product(previous, gradient) / norms} if norms > _TINY else {}


def _of_policy(student: Student, estimate: Estimate, before: Tensor) -> dict[str, float]:
    policy, parameters, batch = student.policy, student.parameters, estimate.batch
    with torch.no_grad():
        after = policy.read(parameters, batch).parameters
        metrics = {
            names.ENTROPY: policy.distribution.entropy(before).mean().item(),
            names.KL: policy.distribution.kl(before, after).mean().item(),
        }
        hidden = policy.hidden(parameters, batch) if batch.steps > 1 else []
    if hidden:
        metrics[names.DEAD_UNITS] = dead_units(hidden)
    return metrics
