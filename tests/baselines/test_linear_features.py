"""Linear feature baseline: features, fit, and the order of use and fit."""

from dataclasses import replace

import numpy as np
import pytest

from pgexp.baselines.linear import LinearFeatures
from pgexp.functional.arrays import Floats, Ints
from pgexp.functional.batch import Batch, Returns
from pgexp.schema import names
from tests.episodes import Episode, batch_of

TINY = 1e-9


def regression(observations: Floats, times: Ints, targets: Floats) -> tuple[Batch, Returns]:
    """Return a batch of episodes of one step each, at these times, with the targets as returns."""
    rows = zip(observations.tolist(), times.tolist(), targets.tolist(), strict=True)
    batch = batch_of(*(Episode([row], [0], [target], first=time) for row, time, target in rows))
    return batch, Returns(targets, batch.lengths, targets, batch.lengths)


def sampled(count: int = 200, longest: int = 400) -> tuple[Floats, Ints]:
    generator = np.random.default_rng(0)
    return generator.normal(size=(count, 2)), generator.integers(longest, size=count)


def polynomial(o: Floats, t: Ints) -> Floats:
    time = t / 100
    return 3 * o[:, 0] - 2 * o[:, 1] + 0.5 * o[:, 0] ** 2 + o[:, 1] ** 2 - time + 2 * time**2 - 0.3 * time**3 + 7


def test_before_its_first_fit_it_predicts_0() -> None:
    batch, returns = regression(*sampled(), np.ones(200))
    linear = LinearFeatures(inputs=2, ridge=TINY)
    assert not linear.values(batch, returns).any()
    assert not linear.predict(batch).final.any()


def test_it_finds_a_polynomial_and_extrapolates() -> None:
    linear = LinearFeatures(inputs=2, ridge=TINY)
    linear.update(*regression(*sampled(), polynomial(*sampled())))
    unseen = np.array([[4.0, -5.0], [-6.0, 3.0]]), np.array([500, 0])
    assert linear.predict(regression(*unseen, np.zeros(2))[0]).per_step == pytest.approx(polynomial(*unseen), rel=1e-6)


def test_a_final_observation_has_the_time_after_the_last_step() -> None:
    linear = LinearFeatures(inputs=2, ridge=TINY)
    linear.update(*regression(*sampled(), polynomial(*sampled())))
    batch = batch_of(
        Episode([[0, 0]] * 3, [0] * 3, [0] * 3, end="truncated", final=[1, 2]),
        Episode([[0, 0]] * 2, [0] * 2, [0] * 2, end="open", final=[-1, 1], first=40),
    )
    expected = polynomial(np.array([[1.0, 2.0], [-1.0, 1.0]]), np.array([3, 42]))
    assert linear.predict(batch).final == pytest.approx(expected, rel=1e-6)
    of_steps = polynomial(np.zeros((5, 2)), np.array([0, 1, 2, 40, 41]))
    assert linear.predict(batch).per_step == pytest.approx(of_steps, rel=1e-6)


@pytest.mark.parametrize("ridge", [1e-5, 1.0, 100.0])
def test_it_solves_the_normal_equations_of_ridge_regression(ridge: float) -> None:
    o, t = sampled()
    target = np.random.default_rng(1).normal(size=200)
    x = np.column_stack([o, o**2, t / 100, (t / 100) ** 2, (t / 100) ** 3, np.ones(200)])
    expected = x @ np.linalg.solve(x.T @ x + ridge * np.eye(8), x.T @ target)
    linear = LinearFeatures(inputs=2, ridge=ridge)
    batch, returns = regression(o, t, target)
    linear.update(batch, returns)
    np.testing.assert_allclose(linear.values(batch, returns), expected, rtol=1e-7, atol=1e-9)


def test_observations_are_clipped_to_10() -> None:
    linear = LinearFeatures(inputs=2, ridge=TINY)
    linear.update(*regression(*sampled(), polynomial(*sampled())))
    far, near = (regression(np.array([[x, -x]]), np.array([0]), np.zeros(1))[0] for x in (1e6, 10.0))
    assert linear.predict(far).per_step == linear.predict(near).per_step


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_it_computes_in_double_precision(dtype: type) -> None:
    linear = LinearFeatures(inputs=2, ridge=TINY)
    linear.update(*regression(*sampled(), polynomial(*sampled())))
    seen = np.array([[9.1, 3.3]]).astype(dtype)
    batch = regression(seen.astype(np.float64), np.array([7]), np.zeros(1))[0]
    typed = linear.predict(replace(batch, observations=seen, final=batch.final.astype(dtype))).per_step
    assert typed.tolist() == linear.predict(batch).per_step.tolist()
    assert typed.dtype == np.float64


def test_it_is_fitted_to_the_last_batch_only() -> None:
    once, twice = (LinearFeatures(inputs=2, ridge=1.0) for _ in range(2))
    last = regression(*sampled(), polynomial(*sampled()))
    twice.update(*regression(*sampled(50), np.full(50, -1e3)))
    for linear in (once, twice):
        linear.update(*last)
    assert np.array_equal(once.values(*last), twice.values(*last))


def test_its_metric_is_the_error_from_before_the_fit() -> None:
    linear = LinearFeatures(inputs=2, ridge=TINY)
    targets = polynomial(*sampled())
    batch = regression(*sampled(), targets)
    assert linear.update(*batch) == {names.VALUE_LOSS: pytest.approx((targets**2).mean())}
    assert linear.update(*batch)[names.VALUE_LOSS] < 1e-6


@pytest.mark.parametrize("longest", [1, 100, 20_000])
def test_equal_features_get_moderate_coefficients(longest: int) -> None:
    # Of a one-hot observation each component is its own square, and together they are the constant. With episodes of
    # one step time is 0; over 20,000 steps its cube is of another order than all else.
    generator = np.random.default_rng(0)
    state, time = generator.integers(3, size=300), generator.integers(longest, size=300)
    value = np.array([1.0, -2.0, 5.0])
    batch, returns = regression(np.eye(3)[state], time, value[state])
    linear = LinearFeatures(inputs=3, ridge=1e-5)
    linear.update(batch, returns)
    np.testing.assert_allclose(linear.values(batch, returns), value[state], atol=1e-4)
    unseen = regression(np.eye(3), np.zeros(3, dtype=int), np.zeros(3))[0]
    np.testing.assert_allclose(linear.predict(unseen).per_step, value, atol=1e-4)


def test_too_many_features_are_refused() -> None:
    LinearFeatures(inputs=498, ridge=1.0)
    with pytest.raises(ValueError, match=r"got 1002.* set baseline=value"):
        LinearFeatures(inputs=499, ridge=1.0)
