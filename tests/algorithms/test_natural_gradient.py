"""The natural gradient against the Fisher matrix of a linear softmax policy, written out."""

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from pgexp.algorithms.errors import DivergenceError
from pgexp.algorithms.natural_gradient import NaturalGradient, fisher_product, solve_damped
from pgexp.baselines.shared_value import SharedValue
from pgexp.functional.arrays import Floats
from pgexp.schema import names
from tests.episodes import Episode, batch_of
from tests.softmax_runs import policy_gradient, probabilities, reinforce, train_state, update, weight_change

WEIGHT = np.array([[0.3, -0.2, 0.1], [0.0, 0.5, -0.4]])
BATCH = batch_of(
    Episode([[1, 0], [0, 1], [1, 1]], [0, 2, 1], [1, 2, 4]),
    Episode([[1, -1], [2, 0]], [1, 1], [8, -2]),
)
TO_GO = [7, 6, 4, 6, -2]
DAMPING = 0.01


def fisher(weights: Floats) -> Floats:
    """Return ``sum_t w_t (s s^T) x (diag(p) - p p^T)``, the expected outer product of the scores, [P, P]."""
    p = probabilities(WEIGHT, BATCH.observations)
    of_logits = [np.diag(row) - np.outer(row, row) for row in p]
    pairs = zip(weights, BATCH.observations, of_logits, strict=True)
    return sum(w * np.kron(np.outer(s, s), matrix) for w, s, matrix in pairs)


def natural(**changed: Any) -> partial[NaturalGradient]:
    settings = {"damping": DAMPING, "max_kl": None, "exact_up_to": 100, "iterations": 20, "tolerance": 1e-10}
    return partial(NaturalGradient, **{**settings, **changed})


def solution(matrix: Floats, gradient: Floats) -> Floats:
    damped = matrix + DAMPING * np.eye(len(matrix))
    return np.linalg.solve(damped, gradient.ravel()).reshape(gradient.shape)


@pytest.mark.parametrize("exact_up_to", [100, 0], ids=["exact", "conjugate gradient"])
def test_it_solves_for_the_fisher_matrix_of_the_batchs_states(exact_up_to: int) -> None:
    gradient = policy_gradient(WEIGHT, BATCH, TO_GO) / 2
    found = weight_change(reinforce(gradient_transform=natural(exact_up_to=exact_up_to)), train_state(WEIGHT), BATCH)
    np.testing.assert_allclose(found, solution(fisher(np.full(5, 0.5)), gradient), rtol=1e-8)


def test_in_segments_both_are_means_over_steps() -> None:
    gradient = policy_gradient(WEIGHT, BATCH, TO_GO) / 5
    found = weight_change(reinforce(segments=True, gradient_transform=natural()), train_state(WEIGHT), BATCH)
    np.testing.assert_allclose(found, solution(fisher(np.full(5, 0.2)), gradient), rtol=1e-8)


def test_gamma_to_the_t_weights_both_if_it_is_kept() -> None:
    algorithm = reinforce(gamma=0.5, discount_states=True, gradient_transform=natural())
    factors = np.array([1, 0.5, 0.25, 1, 0.5])
    to_go = factors * [3, 4, 4, 7, -2]
    found = weight_change(algorithm, train_state(WEIGHT), BATCH)
    expected = solution(fisher(factors / 2), policy_gradient(WEIGHT, BATCH, to_go) / 2)
    np.testing.assert_allclose(found, expected, rtol=1e-8)


def test_products_of_several_vectors_are_the_matrix_itself() -> None:
    product = fisher_product(train_state(WEIGHT), BATCH, np.full(5, 0.5))
    np.testing.assert_allclose(product(torch.eye(6, dtype=torch.float64)), fisher(np.full(5, 0.5)), atol=1e-12)


def test_it_does_not_depend_on_how_the_policy_is_parameterised() -> None:
    """Twice the observations under half the weights are the same policy: its probabilities move alike."""
    moved = []
    for factor in (1.0, 2.0):
        episodes = [Episode([[factor, 0], [0, factor]], [0, 2], [1, 2]), Episode([[0, factor]], [1], [5])]
        batch, weight = batch_of(*episodes), WEIGHT / factor
        step = weight_change(reinforce(gradient_transform=natural(damping=1e-10)), train_state(weight), batch)
        moved.append(batch.observations @ step)
    np.testing.assert_allclose(moved[0], moved[1], rtol=1e-5)


def test_the_residual_of_the_equation_is_recorded() -> None:
    recorded = {
        iterations: update(
            reinforce(gradient_transform=natural(exact_up_to=0, iterations=iterations)), train_state(WEIGHT), BATCH, 0.0
        )[names.FISHER_RESIDUAL]
        for iterations in (1, 20)
    }
    assert recorded[1] > 0.01
    assert recorded[20] < 1e-8


def test_a_singular_matrix_with_rounding_errors_is_solved() -> None:
    """A matrix of rank 1 whose rounding in single precision is asymmetric, and indefinite beyond the damping."""
    draws = torch.Generator().manual_seed(0)
    v = torch.randn(40, generator=draws)
    rounding = 1e-2 * torch.randn(40, 40, generator=draws)
    matrix = 1e4 * torch.outer(v, v) + rounding
    assert torch.linalg.eigvalsh((matrix + matrix.T).double() / 2)[0] < -0.05
    found = solve_damped(matrix, DAMPING, v)
    assert found.isfinite().all()
    assert found.dot(v) > 0


def test_a_matrix_that_is_not_finite_is_a_divergence() -> None:
    with pytest.raises(DivergenceError):
        solve_damped(torch.full((2, 2), float("nan")), DAMPING, torch.ones(2))


def test_its_norm_is_clipped() -> None:
    found = weight_change(reinforce(gradient_transform=natural(), max_grad_norm=0.1), train_state(WEIGHT), BATCH)
    assert np.linalg.norm(found) == pytest.approx(0.1)


def test_a_step_beyond_max_kl_is_shortened() -> None:
    whole = weight_change(reinforce(gradient_transform=natural()), train_state(WEIGHT), BATCH)
    predicted = whole.ravel() @ fisher(np.full(5, 0.5)) @ whole.ravel() / (2 * 2.5)
    for bound, share in ((0.01, np.sqrt(0.01 / predicted)), (1e6, 1.0)):
        found = weight_change(reinforce(gradient_transform=natural(max_kl=bound)), train_state(WEIGHT), BATCH)
        np.testing.assert_allclose(found, share * whole, rtol=1e-8)


def test_a_short_step_has_the_predicted_divergence() -> None:
    state = train_state(WEIGHT)
    recorded = update(reinforce(gradient_transform=natural(max_kl=1e-6)), state, BATCH)
    assert recorded[names.KL] == pytest.approx(1e-6, rel=0.01)


def test_a_network_shared_with_a_value_is_refused() -> None:
    (conflict,) = reinforce(gradient_transform=natural()).config_conflicts(SharedValue(None, 0.5))
    assert conflict.startswith("algorithm.gradient_transform must be null")
