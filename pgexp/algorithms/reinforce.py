"""REINFORCE: the Monte Carlo policy gradient."""

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
import torch
from torch import Tensor

from pgexp.algorithms.advantages import AdvantageEstimator, baseline_values
from pgexp.algorithms.algorithm import Algorithm, TrainState
from pgexp.algorithms.collector import Collector
from pgexp.algorithms.diagnostics import Diagnostics
from pgexp.algorithms.errors import DivergenceError
from pgexp.algorithms.natural_gradient import GradientTransform
from pgexp.algorithms.policy import PolicyOutput
from pgexp.algorithms.schedules import Constant, Cosine, Linear, Schedule
from pgexp.baselines.baseline import Baseline, JointPredictor, Predictor
from pgexp.functional.batch import Batch, Returns
from pgexp.functional.optimization import clip_gradients, gradient_norm, policy_gradient_loss, step
from pgexp.schema import names
from pgexp.schema.types import Factory, Fraction, NonNegativeFloat, PositiveFloat, PositiveInt

_SCHEDULES: Final[dict[str, type[Schedule]]] = {"constant": Constant, "linear": Linear, "cosine": Cosine}


class Reinforce(Algorithm):
    """One optimizer step per batch along the gradient of the expected return, or along a transform of it.

    Williams 1992; Sutton & Barto 2018, sec. 13.3 and 13.4. The loss is the sum over time and the mean over episodes, so
    that its gradient is that of the expected return; in segments it is the mean over steps.
    """

    def __init__(
        self,
        episodes: int | None,
        diagnostics: Literal["full", "light", "off"],
        gamma: Fraction,
        return_type: Literal["reward_to_go", "total_return", "lambda_return", "n_step_return"],
        gae_lambda: Fraction,
        n_steps: PositiveInt,
        discount_states: bool,
        reward_scale: PositiveFloat,
        reward_clip: PositiveFloat | None,
        return_scale: Literal["none", "std"],
        advantage_scale: Literal["none", "std", "episode_std"],
        time_limit: Literal["end", "bootstrap"],
        partial_episodes: Literal["bootstrap", "drop"],
        entropy_coefficient: NonNegativeFloat,
        entropy_schedule: Literal["constant", "linear", "cosine"],
        max_grad_norm: PositiveFloat | None,
        gradient_transform: Factory | None,
    ) -> None:
        self._gamma = gamma
        self._estimator = AdvantageEstimator(
            episodes=episodes,
            gamma=gamma,
            return_type=return_type,
            gae_lambda=gae_lambda,
            n_steps=n_steps,
            discount_states=discount_states,
            reward_scale=reward_scale,
            reward_clip=reward_clip,
            return_scale=return_scale,
            advantage_scale=advantage_scale,
            time_limit=time_limit,
            partial_episodes=partial_episodes,
        )
        self._entropy_coefficient = entropy_coefficient
        self._entropy_schedule = _SCHEDULES[entropy_schedule]()
        self._max_grad_norm = max_grad_norm
        self._transform: GradientTransform | None = None if gradient_transform is None else gradient_transform()
        if self._transform is not None and not isinstance(self._transform, GradientTransform):
            kind = f"{GradientTransform.__module__}.{GradientTransform.__name__}"
            raise ValueError(f"gradient_transform must be a subclass of {kind} (got {type(self._transform).__name__})")
        self._diagnostics = Diagnostics(diagnostics)

    def update(self, state: TrainState, collector: Collector, progress: float) -> tuple[Batch, dict[str, float]]:
        """Take one step of REINFORCE with baseline; return the collected batch and metrics by name.

        With the return G_t, the baseline b_t and K episodes, the gradient of the expected return is estimated by
        ``1/K sum_episodes sum_t (G_t - b_t) grad log pi(a_t | s_t)``.
        """
        estimator, policy, baseline, past = self._estimator, state.policy, state.baseline, state.algorithm_state
        collected = collector.collect()  # whole episodes, or segments, of the current policy
        normalized = policy.normalizer.normalize_batch(state.parameters, collected)
        batch = estimator.select(normalized)  # without partial episodes, if they are dropped
        metrics = {} if batch is normalized else {names.DROPPED_STEPS: float(collected.steps - batch.steps)}
        if not batch.steps:
            return collected, metrics

        rewards = estimator.rewards(batch, past.return_moments)  # scaled and clipped
        prediction = baseline.predict(batch) if isinstance(baseline, Predictor) else None
        returns = estimator.returns(batch, rewards, prediction)  # G_t
        values = baseline_values(baseline, batch, returns, prediction)  # b_t, not fitted to this batch yet
        advantages = returns.per_step - values  # A_t = G_t - b_t
        estimate = estimator.estimate(batch, rewards, returns, values, advantages)  # their weights in the gradient
        past.return_moments = estimator.merge_returns(past.return_moments, batch)
        metrics |= self._diagnostics.before(state, estimate, self._gamma)

        output = policy.forward(state.parameters, batch)
        log_prob = policy.distribution.log_prob(output.parameters, torch.from_numpy(batch.actions))
        weights = torch.from_numpy(estimate.weights).to(policy.dtype)
        policy_loss = policy_gradient_loss(log_prob, weights, estimate.divisor)  # -1/K sum_t A_t log pi(a_t | s_t)
        metrics[names.POLICY_LOSS] = policy_loss.item()
        loss, terms = self._add_regularizers(policy_loss, state, output, returns, progress)

        gradients = list(torch.autograd.grad(loss, state.trainable, materialize_grads=True))
        loss_gradient = _require_finite(gradients)
        if self._transform is not None:  # such as the natural gradient
            state_weights = estimator.state_weights(batch) / estimate.divisor
            gradients, transform_metrics = self._transform(state, batch, state_weights, gradients)
            terms |= transform_metrics
        metrics |= terms | self._step(state, gradients)
        metrics |= self._diagnostics.after(state, estimate, output.parameters.detach(), loss_gradient)
        metrics |= baseline.update(batch, returns)  # fitted after its use
        return collected, metrics

    def config_conflicts(self, baseline: Baseline) -> Sequence[str]:
        """Return the estimator's conflicts, and that of a gradient transform with a joint predictor."""
        conflicts = [*self._estimator.config_conflicts(baseline)]
        if self._transform is not None and isinstance(baseline, JointPredictor):
            reason = f"because {type(baseline).__name__} shares the policy's network. Or set baseline=value"
            conflicts.append(f"algorithm.gradient_transform must be null, {reason}")
        return conflicts

    def bias_sources(self, baseline: Baseline) -> Sequence[str]:
        """Return the estimator's bias sources."""
        return self._estimator.bias_sources(baseline)

    @property
    def depends_on_progress(self) -> bool:
        """Whether the entropy coefficient changes during the run."""
        return bool(self._entropy_coefficient) and not isinstance(self._entropy_schedule, Constant)

    def _add_regularizers(
        self, loss: Tensor, state: TrainState, output: PolicyOutput, returns: Returns, progress: float
    ) -> tuple[Tensor, dict[str, float]]:
        """Return the loss minus the entropy bonus and plus the value loss of a shared network, and metrics."""
        metrics = {}
        if self._entropy_coefficient:
            coefficient = self._entropy_coefficient * self._entropy_schedule(progress)
            entropy = state.policy.distribution.entropy(output.parameters).mean()
            loss = loss - coefficient * entropy
            metrics = {names.ENTROPY: entropy.item(), names.ENTROPY_COEFFICIENT: coefficient}
        if isinstance(state.baseline, JointPredictor) and output.values is not None:
            loss = loss + state.baseline.loss(output.values, returns)
        return loss, metrics

    def _step(self, state: TrainState, direction: Sequence[Tensor]) -> dict[str, float]:
        """Take an optimizer step along the direction, clipped to `max_grad_norm`. Raises DivergenceError."""
        norm = gradient_norm(direction)
        if not np.isfinite(norm):
            raise DivergenceError(f"the gradient's norm is {norm}")
        metrics, counters = {names.GRADIENT_NORM: norm}, state.algorithm_state
        counters.updates += 1
        if self._max_grad_norm is not None:
            clip_gradients(direction, norm, self._max_grad_norm)
            counters.clipped_updates += norm > self._max_grad_norm
            metrics[names.GRADIENT_CLIPPED] = counters.clipped_updates / counters.updates
        for tensor, gradient in zip(state.trainable, direction, strict=True):
            tensor.grad = gradient.contiguous()  # fused optimizers ignore strides
        step(state.optimizer)
        if not all(np.isfinite(tensor.detach().numpy()).all() for tensor in state.trainable):
            raise DivergenceError(f"the parameters are not finite after a step along a gradient of norm {norm}")
        return metrics


def _require_finite(gradients: Sequence[Tensor]) -> Tensor:
    """Return a copy of the gradients as one vector, [P]. Raises DivergenceError if a component is not finite."""
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    if not np.isfinite(flat.numpy()).all():
        raise DivergenceError(f"the gradient's norm is {gradient_norm(gradients)}")
    return flat
