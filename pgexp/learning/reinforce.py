"""REINFORCE: the Monte Carlo policy gradient."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from pgexp.baselines.baseline import Baseline, JointPredictor
from pgexp.functional.batch import Batch
from pgexp.functional.optimizers import step
from pgexp.functional.surrogate import clip_gradients, gradient_norm, policy_gradient_loss
from pgexp.learning import consistency
from pgexp.learning.algorithm import Algorithm, DivergenceError, Student
from pgexp.learning.diagnostics import Diagnostics
from pgexp.learning.direction import Direction
from pgexp.learning.estimator import Estimate, Estimator
from pgexp.learning.policy import Reading
from pgexp.learning.schedules import Constant, Cosine, Linear, Schedule
from pgexp.schema import names
from pgexp.schema.types import Factory, Fraction, NonNegativeFloat, PositiveFloat, PositiveInt

_SCHEDULES: dict[str, type[Schedule]] = {"constant": Constant, "linear": Linear, "cosine": Cosine}


class Reinforce(Algorithm):
    """One step per batch along ``sum_t (G_t - b_t) grad log pi(a_t | s_t)``, or along a direction derived from it.

    Williams 1992; Sutton & Barto 2018, sec. 13.3 and 13.4. The loss is the sum over time and the mean over episodes,
    so that its gradient is that of the expected return; in segments it is the mean over steps.
    """

    def __init__(
        self,
        episodes: int | None,
        diagnostics: Literal["full", "light", "off"],
        gamma: Fraction,
        credit: Literal["reward_to_go", "total_return", "lambda_return", "n_step_return"],
        gae_lambda: Fraction,
        n_steps: PositiveInt,
        discount_states: bool,
        reward_scale: PositiveFloat,
        reward_clip: PositiveFloat | None,
        return_scale: Literal["none", "std"],
        advantage_scale: Literal["none", "std", "episode_std"],
        time_limit: Literal["end", "bootstrap"],
        open_tail: Literal["bootstrap", "drop"],
        entropy_coefficient: NonNegativeFloat,
        entropy_schedule: Literal["constant", "linear", "cosine"],
        max_grad_norm: PositiveFloat | None,
        direction: Factory | None,
    ) -> None:
        self._gamma = gamma
        self._estimator = Estimator(
            episodes=episodes,
            gamma=gamma,
            credit=credit,
            gae_lambda=gae_lambda,
            n_steps=n_steps,
            discount_states=discount_states,
            reward_scale=reward_scale,
            reward_clip=reward_clip,
            return_scale=return_scale,
            advantage_scale=advantage_scale,
            time_limit=time_limit,
            open_tail=open_tail,
        )
        self._entropy_coefficient = entropy_coefficient
        self._entropy_schedule = _SCHEDULES[entropy_schedule]()
        self._max_grad_norm = max_grad_norm
        self._direction: Direction | None = None if direction is None else direction()
        if self._direction is not None and not isinstance(self._direction, Direction):
            wanted = f"{Direction.__module__}.{Direction.__name__}"
            raise ValueError(f"{type(self._direction).__name__} must be a subclass of {wanted}")
        self._diagnostics = Diagnostics(diagnostics)

    def objections(self, baseline: Baseline) -> Sequence[str]:
        """Return what the estimator objects to, and a joint fit under a direction that is the policy's alone."""
        found = [*consistency.objections(self._estimator, baseline)]
        if self._direction is not None and isinstance(baseline, JointPredictor):
            name = type(baseline).__name__
            found.append(
                f"algorithm.direction is of the policy alone, but {name} shares its network: set baseline=value"
            )
        return found

    def biases(self, baseline: Baseline) -> Sequence[str]:
        """Return the estimator's biased choices."""
        return consistency.biases(self._estimator, baseline)

    @property
    def depends_on_progress(self) -> bool:
        """Whether the entropy's coefficient changes over the run."""
        return bool(self._entropy_coefficient) and not isinstance(self._entropy_schedule, Constant)

    def update(self, student: Student, batch: Batch, progress: float) -> dict[str, float]:
        """Take one step: value the batch, follow its gradient, then let the baseline learn from it."""
        kept = self._estimator.kept(batch)
        metrics = {} if kept is batch else {names.DROPPED_STEPS: float(batch.steps - kept.steps)}
        if not kept.steps:
            return metrics
        estimate = self._estimator.estimate(student.baseline, kept, student.traces.returns)
        student.traces.returns = self._estimator.remember(student.traces.returns, kept)
        metrics |= self._diagnostics.before(student, estimate, self._gamma)
        metrics |= self._ascend(student, estimate, progress)
        return metrics | student.baseline.update(kept, estimate.credit)

    def _ascend(self, student: Student, estimate: Estimate, progress: float) -> dict[str, float]:
        reading = student.policy.read(student.parameters, estimate.batch)
        loss, metrics = self._loss(student, estimate, reading, progress)
        parameters = student.trainable
        gradients = list(torch.autograd.grad(loss, parameters, materialize_grads=True))
        plain = torch.cat([gradient.flatten() for gradient in gradients])
        if not np.isfinite(plain.numpy()).all():
            raise DivergenceError(f"the gradient's norm is {gradient_norm(gradients)}")
        if self._direction is not None:
            weights = self._estimator.occupancy(estimate.batch) / estimate.divisor
            gradients, told = self._direction(student, estimate.batch, weights, gradients)
            metrics |= told
        metrics |= self._step(student, gradients)
        if not all(np.isfinite(tensor.detach().numpy()).all() for tensor in parameters):
            raise DivergenceError(f"the parameters after the step are not finite ({metrics})")
        return metrics | self._diagnostics.after(student, estimate, reading.parameters.detach(), plain)

    def _loss(
        self, student: Student, estimate: Estimate, reading: Reading, progress: float
    ) -> tuple[Tensor, dict[str, float]]:
        distribution, dtype = student.policy.distribution, student.policy.dtype
        log_prob = distribution.log_prob(reading.parameters, torch.from_numpy(estimate.batch.actions))
        weights = torch.from_numpy(estimate.weights).to(dtype)
        policy_loss = loss = policy_gradient_loss(log_prob, weights, estimate.divisor)
        metrics = {names.POLICY_LOSS: policy_loss.item()}
        if self._entropy_coefficient:
            coefficient = self._entropy_coefficient * self._entropy_schedule(progress)
            entropy = distribution.entropy(reading.parameters).mean()
            loss = loss - coefficient * entropy
            metrics |= {names.ENTROPY: entropy.item(), names.ENTROPY_COEFFICIENT: coefficient}
        if isinstance(student.baseline, JointPredictor) and reading.values is not None:
            loss = loss + student.baseline.loss(reading.values, estimate.credit)
        return loss, metrics

    def _step(self, student: Student, direction: Sequence[Tensor]) -> dict[str, float]:
        """Let the optimizer step along the direction, clipped."""
        norm = gradient_norm(direction)
        if not np.isfinite(norm):
            raise DivergenceError(f"the gradient's norm is {norm}")
        metrics = {names.GRADIENT_NORM: norm}
        student.traces.updates += 1
        if self._max_grad_norm is not None:
            clip_gradients(direction, norm, self._max_grad_norm)
            student.traces.clipped += norm > self._max_grad_norm
            metrics[names.GRADIENT_CLIPPED] = student.traces.clipped / student.traces.updates
        for tensor, gradient in zip(student.trainable, direction, strict=True):
            tensor.grad = gradient.contiguous()  # fused optimizers read any gradient as if it were
        step(student.optimizer)
        return metrics
