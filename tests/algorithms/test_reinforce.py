"""One update of REINFORCE against hand calculations, on a linear softmax policy in double precision."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from pgexp.algorithms.algorithm import TrainState
from pgexp.algorithms.errors import DivergenceError
from pgexp.baselines.baseline import Baseline, Prediction
from pgexp.baselines.leave_one_out import LeaveOneOut
from pgexp.baselines.mean import BatchMean
from pgexp.baselines.none import NoBaseline
from pgexp.baselines.running_mean import RunningMean
from pgexp.baselines.shared_value import SharedValue
from pgexp.functional.batch import Batch, Returns
from pgexp.networks.feedforward import Linear
from pgexp.schema import names
from tests.episodes import Episode, batch_of
from tests.softmax_runs import (
    Stub,
    policy_gradient,
    policy_of,
    probabilities,
    reinforce,
    train_state,
    update,
    weight_change,
    weight_of,
)

WEIGHT = np.array([[0.3, -0.2, 0.1], [0.0, 0.5, -0.4]])
BATCH = batch_of(
    Episode([[1, 0], [0, 1], [1, 1]], [0, 2, 1], [1, 2, 4]),
    Episode([[1, -1], [2, 0]], [1, 1], [8, -2]),
)
TO_GO = [7, 6, 4, 6, -2]
TOTAL = [7, 7, 7, 6, 6]
HALVED_TO_GO = [1 + 0.5 * (2 + 0.5 * 4), 2 + 0.5 * 4, 4, 8 - 0.5 * 2, -2]  # with gamma = 1/2
EPISODES, STEPS = 2, 5


def assert_ascends(found: np.ndarray, weights: list[float], divisor: float) -> None:
    expected = policy_gradient(WEIGHT, BATCH, weights) / divisor
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


class TestGradient:
    def test_reward_to_go_sums_the_rewards_from_each_step_on(self) -> None:
        assert_ascends(weight_change(reinforce(), train_state(WEIGHT), BATCH), TO_GO, EPISODES)

    def test_the_total_return_is_equal_at_all_steps_of_an_episode(self) -> None:
        assert_ascends(
            weight_change(reinforce(return_type="total_return"), train_state(WEIGHT), BATCH), TOTAL, EPISODES
        )

    def test_with_segments_it_is_the_mean_over_steps(self) -> None:
        assert_ascends(weight_change(reinforce(segments=True), train_state(WEIGHT), BATCH), TO_GO, STEPS)

    def test_rewards_are_discounted_from_the_step_on(self) -> None:
        assert_ascends(weight_change(reinforce(gamma=0.5), train_state(WEIGHT), BATCH), HALVED_TO_GO, EPISODES)

    def test_the_total_return_is_discounted_from_the_episodes_start(self) -> None:
        found = weight_change(reinforce(gamma=0.5, return_type="total_return"), train_state(WEIGHT), BATCH)
        assert_ascends(found, [3, 3, 3, 7, 7], EPISODES)

    def test_states_are_discounted_if_gamma_to_the_t_is_kept(self) -> None:
        found = weight_change(reinforce(gamma=0.5, discount_states=True), train_state(WEIGHT), BATCH)
        factors = [1, 0.5, 0.25, 1, 0.5]
        assert_ascends(found, [f * g for f, g in zip(factors, HALVED_TO_GO, strict=True)], EPISODES)

    def test_states_are_discounted_by_their_time_in_the_episode(self) -> None:
        batch = batch_of(Episode([[1, 0], [0, 1]], [0, 2], [1, 2], first=3))
        found = weight_change(reinforce(segments=True, gamma=0.5, discount_states=True), train_state(WEIGHT), batch)
        expected = policy_gradient(WEIGHT, batch, [2 / 8, 2 / 16]) / 2
        np.testing.assert_allclose(found, expected, rtol=1e-12)

    def test_a_baseline_is_subtracted_at_each_step(self) -> None:
        found = weight_change(reinforce(), train_state(WEIGHT, Stub(3.0)), BATCH)
        assert_ascends(found, [g - 3 for g in TO_GO], EPISODES)

    def test_with_gamma_0_the_return_is_the_steps_reward(self) -> None:
        assert_ascends(weight_change(reinforce(gamma=0.0), train_state(WEIGHT), BATCH), [1, 2, 4, 8, -2], EPISODES)


class TestAdvantageScale:
    def test_std_divides_by_the_deviation_and_does_not_centre(self) -> None:
        # TO_GO: mean 4.2, mean square (49 + 36 + 16 + 36 + 4) / 5 = 28.2, deviation sqrt(28.2 - 17.64)
        found = weight_change(reinforce(advantage_scale="std"), train_state(WEIGHT), BATCH)
        assert_ascends(found, [g / np.sqrt(10.56) for g in TO_GO], EPISODES)

    def test_none_and_mean_still_train_differently(self) -> None:
        for scale in ("none", "std"):
            plain, mean = (
                weight_change(reinforce(advantage_scale=scale), train_state(WEIGHT, baseline), BATCH)
                for baseline in (NoBaseline(), BatchMean())
            )
            assert np.abs(plain - mean).max() > 0.1

    @pytest.mark.parametrize("reward", [3.0, 0.1])  # three times 0.1 is not 0.3, and their computed deviation not 0
    @pytest.mark.parametrize(
        ("baseline", "share"),
        [(NoBaseline(), 1.0), (BatchMean(), 0.0), (LeaveOneOut(), 0.0)],
        ids=["none", "mean", "leave_one_out"],
    )
    @pytest.mark.parametrize("return_type", ["reward_to_go", "total_return"])
    def test_advantages_that_do_not_vary_are_not_divided(
        self, return_type: str, baseline: Baseline, share: float, reward: float
    ) -> None:
        batch = batch_of(*(Episode([observed], [0], [reward]) for observed in ([1, 0], [0, 1], [1, 1])))
        found = weight_change(
            reinforce(return_type=return_type, advantage_scale="std"), train_state(WEIGHT, baseline), batch
        )
        expected = policy_gradient(WEIGHT, batch, [share * reward] * 3) / 3
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_the_entropys_gradient_is_that_of_its_mean_over_steps() -> None:
    # dH / dz_a = -p_a (log p_a + H)
    p = probabilities(WEIGHT, BATCH.observations)
    entropy = -(p * np.log(p)).sum(1, keepdims=True)
    of_logits = -p * (np.log(p) + entropy)
    expected = BATCH.observations.T @ of_logits / STEPS
    plain = weight_change(reinforce(), train_state(WEIGHT), BATCH)
    found = weight_change(reinforce(entropy_coefficient=0.7), train_state(WEIGHT), BATCH)
    np.testing.assert_allclose(found - plain, 0.7 * expected, rtol=1e-10)


def test_the_entropys_weight_follows_its_schedule() -> None:
    plain = weight_change(reinforce(), train_state(WEIGHT), BATCH)
    for progress, share in ((0.0, 1.0), (0.25, 0.75), (1.0, 0.0)):
        algorithm, state = reinforce(entropy_coefficient=0.7, entropy_schedule="linear"), train_state(WEIGHT)
        metrics = update(algorithm, state, BATCH, progress)
        whole = weight_change(reinforce(entropy_coefficient=0.7), train_state(WEIGHT), BATCH) - plain
        np.testing.assert_allclose(weight_of(state) - WEIGHT - plain, share * whole, rtol=1e-8, atol=1e-12)
        assert metrics[names.ENTROPY_COEFFICIENT] == pytest.approx(0.7 * share)


def test_returns_are_scaled_by_the_deviation_of_past_returns() -> None:
    algorithm, state = reinforce(return_scale="std"), train_state(WEIGHT)
    state.optimizer.param_groups[0]["lr"] = 0.0
    twice = replace(BATCH, rewards=2 * BATCH.rewards)
    plain = update(reinforce(), state, BATCH)[names.POLICY_LOSS]
    losses = [update(algorithm, state, batch)[names.POLICY_LOSS] for batch in (BATCH, twice, BATCH)]
    both = np.std([*TO_GO, *(2 * np.array(TO_GO))])
    assert losses == pytest.approx([plain / np.std(TO_GO), 2 * plain / np.std(TO_GO), plain / both])


def test_scaled_returns_have_one_unit_from_the_first_batch_on() -> None:
    algorithm, state = reinforce(return_scale="std", diagnostics="full"), train_state(WEIGHT, RunningMean())
    large = replace(BATCH, rewards=1e3 * BATCH.rewards)
    metrics = [update(algorithm, state, large) for _ in range(3)]
    assert metrics[0][names.VARIANCE_LEFT] == 1.0
    assert max(row[names.VARIANCE_LEFT] for row in metrics[1:]) < 2.0  # 1e5 if the first were in units of rewards


class TestSharedNetwork:
    """A linear network of three logits and a value, all of one weight."""

    WEIGHTS = np.hstack([WEIGHT, [[0.4], [-0.6]]])

    def train_state(self, coefficient: float) -> TrainState:
        weight = torch.from_numpy(self.WEIGHTS.copy()).requires_grad_()
        policy = replace(policy_of(Linear(2, 4, bias=False, initialization="zeros", gain=1.0), 3), shared=True)
        parameters = {"0.weight": weight}
        baseline = SharedValue(partial(policy.predict, parameters), coefficient)
        return TrainState(policy, parameters, torch.optim.SGD([weight], lr=1.0), baseline)

    def test_one_step_trains_the_policy_and_the_value(self) -> None:
        state = self.train_state(0.3)
        update(reinforce(), state, BATCH)
        moved = weight_of(state) - self.WEIGHTS
        values = BATCH.observations @ self.WEIGHTS[:, 3]
        expected = policy_gradient(WEIGHT, BATCH, np.array(TO_GO) - values) / EPISODES
        np.testing.assert_allclose(moved[:, :3], expected, rtol=1e-10)
        of_value = -0.3 * 2 * BATCH.observations.T @ (values - TO_GO) / STEPS
        np.testing.assert_allclose(moved[:, 3], of_value, rtol=1e-10)

    def test_truncated_episodes_are_bootstrapped_with_final_values(self) -> None:
        batch = batch_of(Episode([[1, 0]], [0], [2], "truncated", final=[3, 1]))
        state = self.train_state(1.0)
        update(reinforce(gamma=0.5, time_limit="bootstrap"), state, batch)
        advantage = 2 + 0.5 * (3 * 0.4 - 0.6) - 0.4
        moved = (weight_of(state) - self.WEIGHTS)[:, :3]
        np.testing.assert_allclose(moved, policy_gradient(WEIGHT, batch, [advantage]), rtol=1e-10)


class TestClipping:
    def test_a_clipped_gradient_keeps_its_direction(self) -> None:
        plain = weight_change(reinforce(), train_state(WEIGHT), BATCH)
        clipped = weight_change(reinforce(max_grad_norm=0.5), train_state(WEIGHT), BATCH)
        assert np.linalg.norm(plain) > 0.5
        np.testing.assert_allclose(clipped, 0.5 * plain / np.linalg.norm(plain), rtol=1e-12)

    def test_a_smaller_gradient_is_not_changed(self) -> None:
        plain = weight_change(reinforce(), train_state(WEIGHT), BATCH)
        assert np.array_equal(weight_change(reinforce(max_grad_norm=1e3), train_state(WEIGHT), BATCH), plain)

    def test_the_recorded_norm_is_the_one_before_clipping(self) -> None:
        norm = np.linalg.norm(weight_change(reinforce(), train_state(WEIGHT), BATCH))
        metrics = update(reinforce(max_grad_norm=0.5), train_state(WEIGHT), BATCH)[names.GRADIENT_NORM]
        assert metrics == pytest.approx(norm, rel=1e-12)


class TestMetrics:
    def test_metrics_describe_the_policy_before_the_step(self) -> None:
        state = train_state(WEIGHT, Stub(1.0))
        metrics = update(reinforce(), state, BATCH)
        p, q = probabilities(WEIGHT, BATCH.observations), probabilities(weight_of(state), BATCH.observations)
        advantage = np.array(TO_GO) - 1
        log_prob = np.log(p[range(STEPS), BATCH.actions])
        assert metrics == {
            names.POLICY_LOSS: pytest.approx(-(advantage * log_prob).sum() / EPISODES),
            names.ENTROPY: pytest.approx(-(p * np.log(p)).sum(1).mean()),
            names.KL: pytest.approx((p * np.log(p / q)).sum(1).mean()),
            names.GRADIENT_NORM: pytest.approx(np.linalg.norm(weight_of(state) - WEIGHT)),
            names.ADVANTAGE_MEAN: pytest.approx(advantage.mean()),
            names.ADVANTAGE_STD: pytest.approx(advantage.std()),
            names.EXPLAINED_VARIANCE: 0.0,
            names.VALUE_BIAS: pytest.approx(-advantage.mean()),
        }


class TestOrder:
    def test_a_baseline_predicts_a_batch_before_it_is_fitted_to_it(self) -> None:
        calls: list[str] = []

        class BatchBuffer(Stub):
            def predict(self, batch: Batch) -> Prediction:
                calls.append("predict")
                return super().predict(batch)

            def update(self, batch: Batch, returns: Returns) -> dict[str, float]:
                calls.append("update")
                return super().update(batch, returns)

        state = train_state(WEIGHT, BatchBuffer())
        update(reinforce(), state, BATCH)
        update(reinforce(), state, BATCH)
        assert calls == ["predict", "update", "predict", "update"]

    def test_a_baseline_is_fitted_to_the_returns(self) -> None:
        for return_type, expected in (("reward_to_go", TO_GO), ("total_return", TOTAL)):
            stub = Stub()
            update(reinforce(return_type=return_type, advantage_scale="std"), train_state(WEIGHT, stub), BATCH)
            assert stub.fitted[0].per_step.tolist() == expected


@pytest.mark.parametrize("reward", [float("nan"), float("inf")])
@pytest.mark.filterwarnings("ignore:invalid value")
def test_a_gradient_that_is_not_finite_changes_nothing(reward: float) -> None:
    state = train_state(WEIGHT)
    with pytest.raises(DivergenceError, match="the gradient's norm is"):
        update(reinforce(), state, batch_of(Episode([[1, 0]], [0], [reward])))
    assert np.array_equal(weight_of(state), WEIGHT)


def test_parameters_that_are_not_finite_are_a_divergence() -> None:
    state = train_state(WEIGHT)
    state.optimizer.param_groups[0]["lr"] = 1e308
    with pytest.raises(DivergenceError):
        update(reinforce(), state, BATCH)


class TestConflicts:
    """Conflicts between settings and baselines. Each message begins with its key."""

    PREDICTS, DOES_NOT_PREDICT = Stub(), NoBaseline()

    def test_the_defaults_have_none(self) -> None:
        for baseline in (Stub(), NoBaseline(), BatchMean(), LeaveOneOut()):
            assert reinforce().config_conflicts(baseline) == []

    def test_a_mean_over_other_episodes_needs_other_episodes(self) -> None:
        total = {"return_type": "total_return", "partial_episodes": "drop"}
        (conflict,) = reinforce(episodes=1).config_conflicts(LeaveOneOut())
        assert conflict.startswith("algorithm.batch.episodes must be at least 2")
        assert reinforce(episodes=2).config_conflicts(LeaveOneOut()) == []
        assert reinforce(episodes=1).config_conflicts(BatchMean()) == []
        (conflict,) = reinforce(episodes=1, **total).config_conflicts(BatchMean())
        assert conflict.startswith("algorithm.batch.episodes must be at least 2")

    def test_a_bootstrap_needs_a_baseline_that_predicts(self) -> None:
        assert reinforce(time_limit="bootstrap").config_conflicts(self.PREDICTS) == []
        (conflict,) = reinforce(time_limit="bootstrap").config_conflicts(self.DOES_NOT_PREDICT)
        assert conflict.startswith("algorithm.time_limit must be end")
        assert "NoBaseline" in conflict

    def test_partial_episodes_need_a_predictor_or_are_dropped(self) -> None:
        assert reinforce(segments=True).config_conflicts(self.PREDICTS) == []
        assert reinforce(segments=True, partial_episodes="drop").config_conflicts(self.DOES_NOT_PREDICT) == []
        (conflict,) = reinforce(segments=True).config_conflicts(self.DOES_NOT_PREDICT)
        assert conflict.startswith("algorithm.partial_episodes must be drop")

    def test_total_returns_need_whole_episodes_and_time_limit_end(self) -> None:
        total = {"return_type": "total_return", "partial_episodes": "drop"}
        assert [text.split(" ")[0] for text in reinforce(segments=True, **total).config_conflicts(self.PREDICTS)] == [
            "algorithm.batch.steps"
        ]
        (conflict,) = reinforce(time_limit="bootstrap", **total).config_conflicts(self.PREDICTS)
        assert conflict.startswith("algorithm.time_limit must be end")

    @pytest.mark.parametrize(
        ("changed", "baseline", "expected"),
        [
            ({}, NoBaseline(), []),
            ({}, LeaveOneOut(), []),
            ({}, BatchMean(), ["baseline BatchMean"]),
            ({"advantage_scale": "std"}, NoBaseline(), ["advantage_scale=std"]),
            ({"time_limit": "bootstrap"}, Stub(), ["time_limit=bootstrap"]),
            ({"segments": True}, Stub(), ["partial_episodes=bootstrap"]),
            ({"segments": True, "partial_episodes": "drop"}, NoBaseline(), ["partial_episodes=drop"]),
            ({"gamma": 0.99}, NoBaseline(), ["discount_states=false"]),
            ({"gamma": 0.99, "discount_states": True}, NoBaseline(), []),
        ],
    )
    def test_biased_choices_are_named(self, changed: dict[str, Any], baseline: Baseline, expected: list[str]) -> None:
        assert reinforce(**changed).bias_sources(baseline) == expected
