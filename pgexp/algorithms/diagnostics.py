"""Diagnostics of updates. They do not change the training."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from pgexp.algorithms.advantages import GradientEstimate
from pgexp.algorithms.algorithm import TrainState
from pgexp.algorithms.policy import Policy, trainable
from pgexp.baselines.baseline import Predictor
from pgexp.functional.arrays import Floats
from pgexp.functional.batch import Batch
from pgexp.functional.diagnostics import dead_units, explained_variance, sum_variance
from pgexp.functional.optimization import gradient_norm, inner_product
from pgexp.functional.returns import discounted_sums
from pgexp.networks.network import Parameters
from pgexp.schema import names

_LIGHT_PERIOD = 10  # updates between two descriptions of the policy by light diagnostics
_MIN_NORM = 1e-30  # a gradient of a smaller norm has no direction


@dataclass(frozen=True)
class Diagnostics:
    """The metrics that each update records: all ("full"), the cheap ones ("light"), or none ("off")."""

    level: Literal["full", "light", "off"]

    def before(self, state: TrainState, estimate: GradientEstimate, gamma: float) -> dict[str, float]:
        """Return the metrics of an estimate before the optimizer step."""
        if self.level == "off":
            return {}
        metrics = _advantage_metrics(state, estimate, gamma)
        if self.level == "full" and len(estimate.batch.lengths) > 1:
            metrics |= _variance_metrics(state, estimate)
        return metrics

    def after(
        self, state: TrainState, estimate: GradientEstimate, before: Tensor, gradient: Tensor
    ) -> dict[str, float]:
        """Return the metrics after the optimizer step.

        before: [S, P], the distributions' parameters before the step; gradient: [P], of the loss.
        """
        if self.level == "off":
            return {}
        metrics = _gradient_metrics(state, gradient)
        if self.level == "full" or (state.algorithm_state.updates - 1) % _LIGHT_PERIOD == 0:
            metrics |= _policy_metrics(state, estimate, before)
        return metrics


def per_episode_gradients(
    policy: Policy, parameters: Parameters, batch: Batch, weights: Sequence[Floats]
) -> list[Floats]:
    """Return each episode's ``sum_t w_t grad log pi(a_t | s_t)``, [E, P], for each of the weights, [S].

    batch: normalized; P counts all trainable parameters. It costs one update's time per element of `weights`, and the
    overhead of a small update per episode.
    """
    rows: list[list[Floats]] = [[] for _ in weights]
    leaves = list(trainable(parameters).values())
    for episode, steps in batch.episodes():
        output = policy.forward(parameters, episode)
        log_prob = policy.distribution.log_prob(output.parameters, torch.from_numpy(episode.actions))
        for row, weight in zip(rows, weights, strict=True):
            outputs = torch.from_numpy(weight[steps]).to(log_prob.dtype)
            gradients = torch.autograd.grad(log_prob, leaves, outputs, retain_graph=True, materialize_grads=True)
            row.append(np.concatenate([gradient.numpy().ravel() for gradient in gradients]).astype(np.float64))
    return [np.array(row) for row in rows]


def _advantage_metrics(state: TrainState, estimate: GradientEstimate, gamma: float) -> dict[str, float]:
    advantages, batch = estimate.advantages, estimate.batch
    metrics = {names.ADVANTAGE_MEAN: float(advantages.mean()), names.ADVANTAGE_STD: float(advantages.std())}
    explained = explained_variance(estimate.values, estimate.returns.per_step)
    if explained is not None:
        metrics[names.EXPLAINED_VARIANCE] = explained
    if isinstance(state.baseline, Predictor) and estimate.complete.any():
        returns = estimate.returns.per_step  # whole returns, or else returns-to-go of the complete episodes
        if not estimate.returns.per_episode:
            returns = discounted_sums(estimate.rewards, batch.lengths, gamma, np.zeros(len(batch.lengths)))
        complete = np.repeat(estimate.complete, batch.lengths)
        metrics[names.VALUE_BIAS] = float((estimate.values - returns)[complete].mean())
    return metrics


def _variance_metrics(state: TrainState, estimate: GradientEstimate) -> dict[str, float]:
    """Return the variance of the gradient estimate, computed from its episodes' gradients, and ratios of it.

    The signal-to-noise ratio is ``|g|^2 / Var - 1``; if the true gradient is 0, |g|^2 equals the variance on average.
    """
    weights = [estimate.weights, estimate.returns.per_step * estimate.scale]
    with_baseline, without = (
        gradients / estimate.divisor
        for gradients in per_episode_gradients(state.policy, state.parameters, estimate.batch, weights)
    )
    variance, variance_without = sum_variance(with_baseline), sum_variance(without)
    metrics = {names.GRADIENT_VARIANCE: variance}
    if variance > _MIN_NORM:
        metrics[names.GRADIENT_SNR] = float(np.square(with_baseline.sum(0)).sum()) / variance - 1.0
    if variance_without > _MIN_NORM:
        metrics[names.VARIANCE_LEFT] = variance / variance_without
    return metrics


def _gradient_metrics(state: TrainState, gradient: Tensor) -> dict[str, float]:
    previous, state.algorithm_state.last_gradient = state.algorithm_state.last_gradient, gradient
    if previous is None:
        return {}
    norms = gradient_norm([previous]) * gradient_norm([gradient])
    return {names.GRADIENT_COSINE: inner_product(previous, gradient) / norms} if norms > _MIN_NORM else {}


def _policy_metrics(state: TrainState, estimate: GradientEstimate, before: Tensor) -> dict[str, float]:
    policy, parameters, batch = state.policy, state.parameters, estimate.batch
    with torch.no_grad():
        after = policy.forward(parameters, batch).parameters
        metrics = {
            names.ENTROPY: policy.distribution.entropy(before).mean().item(),
            names.KL: policy.distribution.kl(before, after).mean().item(),
        }
        hidden = policy.hidden(parameters, batch) if batch.steps > 1 else []
    if hidden:
        metrics[names.DEAD_UNITS] = dead_units(hidden)
    return metrics
