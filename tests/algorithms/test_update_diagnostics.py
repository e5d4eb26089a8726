"""Metrics of an update against hand calculations, on a linear softmax policy."""

from typing import Any

import numpy as np
import pytest

from pgexp.algorithms.diagnostics import per_episode_gradients
from pgexp.baselines.baseline import Baseline
from pgexp.functional.batch import Batch
from pgexp.schema import names
from tests.episodes import Episode, batch_of
from tests.softmax_runs import Stub, policy_gradient, reinforce, train_state, update, weight_of

WEIGHT = np.array([[0.3, -0.2, 0.1], [0.0, 0.5, -0.4]])
FIRST = Episode([[1, 0], [0, 1], [1, 1]], [0, 2, 1], [1, 2, 4])
SECOND = Episode([[1, -1], [2, 0]], [1, 1], [8, -2])
THIRD = Episode([[0, 2]], [0], [3])
BATCH = batch_of(FIRST, SECOND, THIRD)
PARTS = [batch_of(FIRST), batch_of(SECOND), batch_of(THIRD)]
TO_GO = [[7, 6, 4], [6, -2], [3]]


def metrics_of(batch: Batch = BATCH, baseline: Baseline | None = None, **changed: Any) -> dict[str, float]:
    settings = {"diagnostics": "full", **changed}
    return update(reinforce(**settings), train_state(WEIGHT, baseline), batch)


def gradients(offset: float) -> np.ndarray:
    """Return each episode's ``sum_t (G_t - offset) score_t``, [E, P]."""
    return_typeed = [[g - offset for g in to_go] for to_go in TO_GO]
    pairs = zip(PARTS, return_typeed, strict=True)
    return np.array([policy_gradient(WEIGHT, part, weights).ravel() for part, weights in pairs])


def variance_of_mean(parts: np.ndarray) -> float:
    return float(parts.var(0, ddof=1).sum()) / len(parts)


class TestOfEpisodes:
    def test_scores_of_single_episodes(self) -> None:
        weights = np.array([g for to_go in TO_GO for g in to_go], dtype=np.float64)
        state = train_state(WEIGHT)
        plain, doubled = per_episode_gradients(state.policy, state.parameters, BATCH, [weights, 2 * weights])
        np.testing.assert_allclose(plain, gradients(0.0), rtol=1e-12)
        np.testing.assert_allclose(doubled, 2 * plain, rtol=1e-12)

    def test_the_variance_is_that_of_the_mean_gradient(self) -> None:
        assert metrics_of()[names.GRADIENT_VARIANCE] == pytest.approx(variance_of_mean(gradients(0.0)))

    def test_the_variance_left_is_relative_to_no_baseline(self) -> None:
        found = metrics_of(baseline=Stub(4.0))
        assert found[names.GRADIENT_VARIANCE] == pytest.approx(variance_of_mean(gradients(4.0)))
        share = variance_of_mean(gradients(4.0)) / variance_of_mean(gradients(0.0))
        assert found[names.VARIANCE_LEFT] == pytest.approx(share)
        assert metrics_of()[names.VARIANCE_LEFT] == 1.0

    def test_signal_to_noise_is_the_squared_norm_over_the_variance(self) -> None:
        parts = gradients(0.0)
        expected = np.square(parts.mean(0)).sum() / variance_of_mean(parts) - 1
        assert metrics_of()[names.GRADIENT_SNR] == pytest.approx(expected)

    @pytest.mark.slow
    def test_without_a_signal_the_ratio_is_zero_on_average(self) -> None:
        draws = np.random.default_rng(0)
        algorithm, ratios = reinforce(diagnostics="full"), []
        for _ in range(400):
            episodes = [Episode([[1, 0]], [0], [draws.normal()]) for _ in range(16)]
            state = train_state(np.zeros((2, 2)))
            ratios.append(update(algorithm, state, batch_of(*episodes))[names.GRADIENT_SNR])
        # 400 draws of about chi-square(1) - 1 times 15/13: a standard error of .1; beyond .5 with probability < 1e-6
        assert abs(np.mean(ratios)) < 0.5

    def test_a_single_episode_has_no_variance(self) -> None:
        assert names.GRADIENT_VARIANCE not in metrics_of(PARTS[0])

    def test_without_a_gradient_there_are_no_ratios(self) -> None:
        found = metrics_of(batch_of(Episode([[1, 0]], [0], [0]), Episode([[0, 1]], [1], [0])))
        assert found[names.GRADIENT_VARIANCE] == 0.0
        assert names.GRADIENT_SNR not in found
        assert names.VARIANCE_LEFT not in found


class TestOfValues:
    def test_the_bias_of_values_uses_complete_episodes(self) -> None:
        unfinished = Episode([[1, 0]], [0], [100], "open", final=[50, 50])
        batch = batch_of(FIRST, SECOND, unfinished)
        found = metrics_of(batch, Stub(4.0), segments=True, return_type="lambda_return", gae_lambda=0.5)
        assert found[names.VALUE_BIAS] == pytest.approx(4.0 - np.mean([7, 6, 4, 6, -2]))

    def test_with_total_returns_the_bias_is_relative_to_them(self) -> None:
        found = metrics_of(batch_of(FIRST, SECOND), Stub(5.0), return_type="total_return")
        assert found[names.VALUE_BIAS] == pytest.approx(5.0 - (3 * 7 + 2 * 6) / 5)

    def test_bootstrapped_episodes_are_left_out(self) -> None:
        cut = Episode([[1, 0], [0, 1]], [0, 1], [1, 1], "truncated", final=[5, 5])
        found = metrics_of(batch_of(SECOND, cut), Stub(4.0), time_limit="bootstrap")
        assert found[names.VALUE_BIAS] == pytest.approx(4.0 - np.mean([6, -2]))
        assert names.VALUE_BIAS not in metrics_of(batch_of(cut, cut), Stub(4.0), time_limit="bootstrap")

    def test_a_baseline_that_does_not_predict_has_no_bias_metric(self) -> None:
        assert names.VALUE_BIAS not in metrics_of()

    def test_explained_variance_needs_returns_that_vary(self) -> None:
        assert metrics_of()[names.EXPLAINED_VARIANCE] == 0.0
        equal = batch_of(Episode([[1, 0]], [0], [2]), Episode([[0, 1]], [1], [2]))
        assert names.EXPLAINED_VARIANCE not in metrics_of(equal)


def test_the_cosine_is_between_this_gradient_and_the_last() -> None:
    state, algorithm = train_state(WEIGHT), reinforce()
    assert names.GRADIENT_COSINE not in update(algorithm, state, PARTS[0])
    first = weight_of(state) - WEIGHT
    moved = weight_of(state)
    found = update(algorithm, state, PARTS[1])[names.GRADIENT_COSINE]
    second = weight_of(state) - moved
    assert found == pytest.approx((first * second).sum() / np.linalg.norm(first) / np.linalg.norm(second))


def test_the_share_of_clipped_gradients_is_of_all_updates_so_far() -> None:
    state, algorithm = train_state(WEIGHT), reinforce(max_grad_norm=1.0)
    small = batch_of(Episode([[1, 0]], [0], [1e-3]))
    shares = [update(algorithm, state, batch)[names.GRADIENT_CLIPPED] for batch in (BATCH, small, small, BATCH)]
    assert shares == pytest.approx([1, 1 / 2, 1 / 3, 2 / 4])


class TestLevel:
    OF_POLICY = (names.KL, names.ENTROPY)
    EPISODES = (names.GRADIENT_VARIANCE, names.GRADIENT_SNR, names.VARIANCE_LEFT)

    def updates(self, level: str, count: int) -> list[dict[str, float]]:
        state, algorithm = train_state(WEIGHT, Stub(1.0)), reinforce(diagnostics=level)
        return [update(algorithm, state, BATCH) for _ in range(count)]

    def test_light_records_the_policy_at_each_tenth_update(self) -> None:
        rows = self.updates("light", 21)
        for name in self.OF_POLICY:
            assert [i for i, row in enumerate(rows) if name in row] == [0, 10, 20]
        assert all(names.EXPLAINED_VARIANCE in row for row in rows)
        assert not any(name in row for row in rows for name in self.EPISODES)

    def test_full_records_all_metrics_at_each_update(self) -> None:
        assert all(name in row for row in self.updates("full", 3) for name in (*self.OF_POLICY, *self.EPISODES))

    def test_off_records_the_step_only(self) -> None:
        assert all(row.keys() == {names.POLICY_LOSS, names.GRADIENT_NORM} for row in self.updates("off", 3))

    @pytest.mark.parametrize("level", ["light", "full"])
    def test_it_does_not_change_the_parameters(self, level: str) -> None:
        weights = []
        for chosen in (level, "off"):
            state, algorithm = train_state(WEIGHT), reinforce(diagnostics=chosen, max_grad_norm=5.0)
            for _ in range(3):
                update(algorithm, state, BATCH)
            weights.append(weight_of(state))
        assert np.array_equal(*weights)
