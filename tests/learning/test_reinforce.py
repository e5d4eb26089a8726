"""One update of REINFORCE against hand calculations, on a linear softmax policy in double precision."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from pgexp.baselines.baseline import Baseline, Prediction
from pgexp.baselines.leave_one_out import LeaveOneOut
from pgexp.baselines.mean import BatchMean
from pgexp.baselines.none import NoBaseline
from pgexp.baselines.running_mean import RunningMean
from pgexp.baselines.shared_value import SharedValue
from pgexp.functional.batch import Batch, Credit
from pgexp.learning.algorithm import DivergenceError, Student
from pgexp.networks.linear import Linear
from pgexp.schema import names
from tests.batches import Stub, ascended, policy_of, probabilities, reinforce, student_of, sum_of_scores, weight_of
from tests.episodes import Episode, batch_of

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
    expected = sum_of_scores(WEIGHT, BATCH, weights) / divisor
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


class TestGradient:
    def test_reward_to_go_weights_a_score_by_the_rewards_from_its_step_on(self) -> None:
        assert_ascends(ascended(reinforce(), student_of(WEIGHT), BATCH), TO_GO, EPISODES)

    def test_the_total_return_gives_all_scores_of_an_episode_one_weight(self) -> None:
        assert_ascends(ascended(reinforce(credit="total_return"), student_of(WEIGHT), BATCH), TOTAL, EPISODES)

    def test_with_segments_it_is_the_mean_over_steps(self) -> None:
        assert_ascends(ascended(reinforce(segments=True), student_of(WEIGHT), BATCH), TO_GO, STEPS)

    def test_rewards_are_discounted_from_the_step_on(self) -> None:
        assert_ascends(ascended(reinforce(gamma=0.5), student_of(WEIGHT), BATCH), HALVED_TO_GO, EPISODES)

    def test_the_total_return_is_discounted_from_the_episodes_start(self) -> None:
        found = ascended(reinforce(gamma=0.5, credit="total_return"), student_of(WEIGHT), BATCH)
        assert_ascends(found, [3, 3, 3, 7, 7], EPISODES)

    def test_states_are_discounted_if_gamma_to_the_t_is_kept(self) -> None:
        found = ascended(reinforce(gamma=0.5, discount_states=True), student_of(WEIGHT), BATCH)
        factors = [1, 0.5, 0.25, 1, 0.5]
        assert_ascends(found, [f * g for f, g in zip(factors, HALVED_TO_GO, strict=True)], EPISODES)

    def test_states_are_discounted_by_their_time_in_the_episode_not_in_the_segment(self) -> None:
        batch = batch_of(Episode([[1, 0], [0, 1]], [0, 2], [1, 2], first=3))
        found = ascended(reinforce(segments=True, gamma=0.5, discount_states=True), student_of(WEIGHT), batch)
        expected = sum_of_scores(WEIGHT, batch, [2 / 8, 2 / 16]) / 2
        np.testing.assert_allclose(found, expected, rtol=1e-12)

    def test_a_baseline_is_subtracted_at_each_step(self) -> None:
        found = ascended(reinforce(), student_of(WEIGHT, Stub(3.0)), BATCH)
        assert_ascends(found, [g - 3 for g in TO_GO], EPISODES)

    def test_gamma_0_credits_the_steps_own_reward(self) -> None:
        assert_ascends(ascended(reinforce(gamma=0.0), student_of(WEIGHT), BATCH), [1, 2, 4, 8, -2], EPISODES)


class TestAdvantageScale:
    def test_std_divides_by_the_deviation_and_does_not_centre(self) -> None:
        # TO_GO: mean 4.2, mean square (49 + 36 + 16 + 36 + 4) / 5 = 28.2, deviation sqrt(28.2 - 17.64)
        found = ascended(reinforce(advantage_scale="std"), student_of(WEIGHT), BATCH)
        assert_ascends(found, [g / np.sqrt(10.56) for g in TO_GO], EPISODES)

    def test_none_and_mean_still_train_differently(self) -> None:
        for scale in ("none", "std"):
            plain, mean = (
                ascended(reinforce(advantage_scale=scale), student_of(WEIGHT, baseline), BATCH)
                for baseline in (NoBaseline(), BatchMean())
            )
            assert np.abs(plain - mean).max() > 0.1

    @pytest.mark.parametrize("reward", [3.0, 0.1])  # three times 0.1 is not 0.3, and their computed deviation not 0
    @pytest.mark.parametrize(
        ("baseline", "share"),
        [(NoBaseline(), 1.0), (BatchMean(), 0.0), (LeaveOneOut(), 0.0)],
        ids=["none", "mean", "leave_one_out"],
    )
    @pytest.mark.parametrize("credit", ["reward_to_go", "total_return"])
    def test_advantages_that_do_not_vary_are_not_divided(
        self, credit: str, baseline: Baseline, share: float, reward: float
    ) -> None:
        batch = batch_of(*(Episode([observed], [0], [reward]) for observed in ([1, 0], [0, 1], [1, 1])))
        found = ascended(reinforce(credit=credit, advantage_scale="std"), student_of(WEIGHT, baseline), batch)
        expected = sum_of_scores(WEIGHT, batch, [share * reward] * 3) / 3
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_the_entropys_gradient_is_that_of_its_mean_over_steps() -> None:
    # dH / dz_a = -p_a (log p_a + H)
    p = probabilities(WEIGHT, BATCH.observations)
    entropy = -(p * np.log(p)).sum(1, keepdims=True)
    of_logits = -p * (np.log(p) + entropy)
    expected = BATCH.observations.T @ of_logits / STEPS
    plain = ascended(reinforce(), student_of(WEIGHT), BATCH)
    found = ascended(reinforce(entropy_coefficient=0.7), student_of(WEIGHT), BATCH)
    np.testing.assert_allclose(found - plain, 0.7 * expected, rtol=1e-10)


def test_the_entropys_weight_follows_its_schedule() -> None:
    plain = ascended(reinforce(), student_of(WEIGHT), BATCH)
    for progress, share in ((0.0, 1.0), (0.25, 0.75), (1.0, 0.0)):
        algorithm, student = reinforce(entropy_coefficient=0.7, entropy_schedule="linear"), student_of(WEIGHT)
        metrics = algorithm.update(student, BATCH, progress)
        whole = ascended(reinforce(entropy_coefficient=0.7), student_of(WEIGHT), BATCH) - plain
        np.testing.assert_allclose(weight_of(student) - WEIGHT - plain, share * whole, rtol=1e-8, atol=1e-12)
        assert metrics[names.ENTROPY_COEFFICIENT] == pytest.approx(0.7 * share)


def test_returns_are_scaled_by_past_returns_and_the_first_batchs_by_its_own() -> None:
    algorithm, student = reinforce(return_scale="std"), student_of(WEIGHT)
    student.optimizer.param_groups[0]["lr"] = 0.0
    twice = replace(BATCH, rewards=2 * BATCH.rewards)
    plain = reinforce().update(student, BATCH, 0.0)[names.POLICY_LOSS]
    losses = [algorithm.update(student, batch, 0.0)[names.POLICY_LOSS] for batch in (BATCH, twice, BATCH)]
    both = np.std([*TO_GO, *(2 * np.array(TO_GO))])
    assert losses == pytest.approx([plain / np.std(TO_GO), 2 * plain / np.std(TO_GO), plain / both])


def test_a_baseline_with_memory_sees_returns_in_one_unit_from_the_first_batch_on() -> None:
    algorithm, student = reinforce(return_scale="std", diagnostics="full"), student_of(WEIGHT, RunningMean())
    large = replace(BATCH, rewards=1e3 * BATCH.rewards)
    metrics = [algorithm.update(student, large, 0.0) for _ in range(3)]
    assert metrics[0][names.VARIANCE_LEFT] == 1.0
    assert max(row[names.VARIANCE_LEFT] for row in metrics[1:]) < 2.0  # 1e5 if the first were in units of rewards


class TestSharedNetwork:
    """A linear network of three logits and a value, all of one weight."""

    WEIGHTS = np.hstack([WEIGHT, [[0.4], [-0.6]]])

    def student(self, coefficient: float) -> Student:
        weight = torch.from_numpy(self.WEIGHTS.copy()).requires_grad_()
        policy = replace(policy_of(Linear(2, 4, bias=False, initialization="zeros", gain=1.0), 3), shared=True)
        parameters = {"0.weight": weight}
        baseline = SharedValue(partial(policy.predict, parameters), coefficient)
        return Student(policy, parameters, torch.optim.SGD([weight], lr=1.0), baseline)

    def test_one_step_trains_the_policy_and_the_value(self) -> None:
        student = self.student(0.3)
        reinforce().update(student, BATCH, 0.0)
        moved = weight_of(student) - self.WEIGHTS
        values = BATCH.observations @ self.WEIGHTS[:, 3]
        expected = sum_of_scores(WEIGHT, BATCH, np.array(TO_GO) - values) / EPISODES
        np.testing.assert_allclose(moved[:, :3], expected, rtol=1e-10)
        of_value = -0.3 * 2 * BATCH.observations.T @ (values - TO_GO) / STEPS
        np.testing.assert_allclose(moved[:, 3], of_value, rtol=1e-10)

    def test_a_truncated_episode_is_bootstrapped_with_the_value_of_its_final_observation(self) -> None:
        batch = batch_of(Episode([[1, 0]], [0], [2], "truncated", final=[3, 1]))
        student = self.student(1.0)
        reinforce(gamma=0.5, time_limit="bootstrap").update(student, batch, 0.0)
        advantage = 2 + 0.5 * (3 * 0.4 - 0.6) - 0.4
        moved = (weight_of(student) - self.WEIGHTS)[:, :3]
        np.testing.assert_allclose(moved, sum_of_scores(WEIGHT, batch, [advantage]), rtol=1e-10)


class TestClipping:
    def test_the_step_has_the_largest_norm_and_the_gradients_direction(self) -> None:
        plain = ascended(reinforce(), student_of(WEIGHT), BATCH)
        clipped = ascended(reinforce(max_grad_norm=0.5), student_of(WEIGHT), BATCH)
        assert np.linalg.norm(plain) > 0.5
        np.testing.assert_allclose(clipped, 0.5 * plain / np.linalg.norm(plain), rtol=1e-12)

    def test_a_smaller_gradient_is_not_changed(self) -> None:
        plain = ascended(reinforce(), student_of(WEIGHT), BATCH)
        assert np.array_equal(ascended(reinforce(max_grad_norm=1e3), student_of(WEIGHT), BATCH), plain)

    def test_the_recorded_norm_is_the_one_before_clipping(self) -> None:
        norm = np.linalg.norm(ascended(reinforce(), student_of(WEIGHT), BATCH))
        metrics = reinforce(max_grad_norm=0.5).update(student_of(WEIGHT), BATCH, 0.0)[names.GRADIENT_NORM]
        assert metrics == pytest.approx(norm, rel=1e-12)


class TestMetrics:
    def test_they_describe_the_policy_before_the_step_except_for_the_divergence(self) -> None:
        student = student_of(WEIGHT, Stub(1.0))
        metrics = reinforce().update(student, BATCH, 0.0)
        p, q = probabilities(WEIGHT, BATCH.observations), probabilities(weight_of(student), BATCH.observations)
        advantage = np.array(TO_GO) - 1
        log_prob = np.log(p[range(STEPS), BATCH.actions])
        assert metrics == {
            names.POLICY_LOSS: pytest.approx(-(advantage * log_prob).sum() / EPISODES),
            names.ENTROPY: pytest.approx(-(p * np.log(p)).sum(1).mean()),
            names.KL: pytest.approx((p * np.log(p / q)).sum(1).mean()),
            names.GRADIENT_NORM: pytest.approx(np.linalg.norm(weight_of(student) - WEIGHT)),
            names.ADVANTAGE_MEAN: pytest.approx(advantage.mean()),
            names.ADVANTAGE_STD: pytest.approx(advantage.std()),
            names.EXPLAINED_VARIANCE: 0.0,
            names.VALUE_BIAS: pytest.approx(-advantage.mean()),
        }


class TestOrder:
    def test_a_baseline_predicts_a_batch_before_it_is_fitted_to_it(self) -> None:
        calls: list[str] = []

        class Recording(Stub):
            def predict(self, batch: Batch) -> Prediction:
                calls.append("predict")
                return super().predict(batch)

            def update(self, batch: Batch, credit: Credit) -> dict[str, float]:
                calls.append("update")
                return super().update(batch, credit)

        student = student_of(WEIGHT, Recording())
        reinforce().update(student, BATCH, 0.0)
        reinforce().update(student, BATCH, 0.0)
        assert calls == ["predict", "update", "predict", "update"]

    def test_a_baseline_is_fitted_to_the_credits(self) -> None:
        for credit, expected in (("reward_to_go", TO_GO), ("total_return", TOTAL)):
            stub = Stub()
            reinforce(credit=credit, advantage_scale="std").update(student_of(WEIGHT, stub), BATCH, 0.0)
            assert stub.learnt[0].of_steps.tolist() == expected


@pytest.mark.parametrize("reward", [float("nan"), float("inf")])
@pytest.mark.filterwarnings("ignore:invalid value")
def test_a_gradient_that_is_not_finite_raises_and_changes_nothing(reward: float) -> None:
    student = student_of(WEIGHT)
    with pytest.raises(DivergenceError, match="the gradient's norm is"):
        reinforce().update(student, batch_of(Episode([[1, 0]], [0], [reward])), 0.0)
    assert np.array_equal(weight_of(student), WEIGHT)


def test_parameters_that_are_not_finite_after_the_step_are_a_divergence() -> None:
    student = student_of(WEIGHT)
    student.optimizer.param_groups[0]["lr"] = 1e308
    with pytest.raises(DivergenceError):
        reinforce().update(student, BATCH, 0.0)


class TestObjections:
    """Settings that contradict each other or the baseline. Each message begins with its key."""

    PREDICTS, DOES_NOT_PREDICT = Stub(), NoBaseline()

    def test_the_defaults_have_none(self) -> None:
        for baseline in (Stub(), NoBaseline(), BatchMean(), LeaveOneOut()):
            assert reinforce().objections(baseline) == []

    def test_a_mean_over_other_episodes_needs_other_episodes(self) -> None:
        total = {"credit": "total_return", "open_tail": "drop"}
        (objection,) = reinforce(episodes=1).objections(LeaveOneOut())
        assert objection == "algorithm.batch.episodes given 1; LeaveOneOut needs at least 2 for reward_to_go"
        assert reinforce(episodes=2).objections(LeaveOneOut()) == []
        assert reinforce(episodes=1).objections(BatchMean()) == []
        (objection,) = reinforce(episodes=1, **total).objections(BatchMean())
        assert objection == "algorithm.batch.episodes given 1; BatchMean needs at least 2 for total_return"

    def test_a_bootstrap_needs_a_baseline_that_predicts(self) -> None:
        assert reinforce(time_limit="bootstrap").objections(self.PREDICTS) == []
        (objection,) = reinforce(time_limit="bootstrap").objections(self.DOES_NOT_PREDICT)
        assert objection.startswith("algorithm.time_limit=bootstrap needs a baseline that predicts")
        assert "NoBaseline" in objection

    def test_open_tails_need_a_baseline_that_predicts_or_are_dropped(self) -> None:
        assert reinforce(segments=True).objections(self.PREDICTS) == []
        assert reinforce(segments=True, open_tail="drop").objections(self.DOES_NOT_PREDICT) == []
        (objection,) = reinforce(segments=True).objections(self.DOES_NOT_PREDICT)
        assert objection.startswith("algorithm.open_tail=bootstrap needs")

    def test_total_returns_need_whole_episodes_and_time_limit_end(self) -> None:
        total = {"credit": "total_return", "open_tail": "drop"}
        assert [text.split(" ")[0] for text in reinforce(segments=True, **total).objections(self.PREDICTS)] == [
            "algorithm.credit=total_return"
        ]
        (objection,) = reinforce(time_limit="bootstrap", **total).objections(self.PREDICTS)
        assert "set algorithm.time_limit=end" in objection

    @pytest.mark.parametrize(
        ("changed", "baseline", "expected"),
        [
            ({}, NoBaseline(), []),
            ({}, LeaveOneOut(), []),
            ({}, BatchMean(), ["baseline BatchMean"]),
            ({"advantage_scale": "std"}, NoBaseline(), ["advantage_scale=std"]),
            ({"time_limit": "bootstrap"}, Stub(), ["time_limit=bootstrap"]),
            ({"segments": True}, Stub(), ["open_tail=bootstrap"]),
            ({"segments": True, "open_tail": "drop"}, NoBaseline(), ["open_tail=drop"]),
            ({"gamma": 0.99}, NoBaseline(), ["discount_states=false"]),
            ({"gamma": 0.99, "discount_states": True}, NoBaseline(), []),
        ],
    )
    def test_biased_choices_are_named(self, changed: dict[str, Any], baseline: Baseline, expected: list[str]) -> None:
        assert reinforce(**changed).biases(baseline) == expected
