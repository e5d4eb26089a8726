"""Weights of steps: scaled and clipped rewards, each rule of credit, scaled advantages."""

from typing import Any

import numpy as np
import pytest

from pgexp.baselines.baseline import Baseline
from pgexp.baselines.greedy_rollout import GreedyRollout
from pgexp.baselines.leave_one_out_per_step import LeaveOneOutPerStep
from pgexp.baselines.none import NoBaseline
from pgexp.functional.moments import Moments
from pgexp.learning.consistency import biases, objections
from pgexp.learning.estimator import Estimate
from tests.batches import Stub
from tests.episodes import Episode, batch_of, estimator

NONE = Moments.none(1)
BATCH = batch_of(
    Episode([[1, 0], [0, 1], [1, 1]], [0, 2, 1], [1, 2, 4], "truncated", final=[5, 5]),
    Episode([[1, -1], [2, 0]], [1, 1], [8, -2], final=[7, 7]),
)


def estimate(baseline: Baseline | None = None, past: Moments = NONE, **changed: Any) -> Estimate:
    return estimator(**changed).estimate(baseline or NoBaseline(), BATCH, past)


def credits_of(*arguments: Any, **changed: Any) -> list[float]:
    return estimate(*arguments, **changed).credit.of_steps.tolist()


class TestCredit:
    def test_lambda_returns_use_the_baselines_values(self) -> None:
        # With V = 3 everywhere, gamma = 1/2, lambda = 0: r + 3/2, and at the last steps, which end, r.
        found = credits_of(Stub(3.0), credit="lambda_return", gamma=0.5, gae_lambda=0.0)
        assert found == pytest.approx([2.5, 3.5, 4.0, 9.5, -2.0])

    def test_at_a_time_limit_they_end_or_are_bootstrapped(self) -> None:
        found = credits_of(Stub(3.0), credit="lambda_return", gamma=0.5, gae_lambda=0.0, time_limit="bootstrap")
        assert found == pytest.approx([2.5, 3.5, 4.0 + 10 / 2, 9.5, -2.0])

    def test_n_step_returns_sum_n_rewards_and_the_value_after_them(self) -> None:
        found = credits_of(Stub(3.0), credit="n_step_return", gamma=0.5, n_steps=2)
        assert found == pytest.approx([1 + 1 + 3 / 4, 2 + 2, 4.0, 8 - 1, -2.0])

    def test_with_lambda_1_they_are_the_returns_to_go(self) -> None:
        found = credits_of(Stub(3.0), credit="lambda_return", gae_lambda=1.0)
        assert found == pytest.approx([7, 6, 4, 6, -2])


class TestRewards:
    def test_they_are_scaled_and_then_clipped(self) -> None:
        assert estimate(reward_scale=0.5, reward_clip=1.5).rewards.tolist() == [0.5, 1.0, 1.5, 1.5, -1.0]

    def test_they_are_divided_by_the_deviation_of_past_returns(self) -> None:
        past = Moments(10, np.array([100.0]), np.array([4.0]))
        assert credits_of(past=past, return_scale="std") == pytest.approx([3.5, 3.0, 2.0, 3.0, -1.0])
        assert credits_of(past=past) == [7, 6, 4, 6, -2]

    def test_those_of_the_first_batch_are_divided_by_its_own_deviation(self) -> None:
        to_go = np.array([7.0, 6.0, 4.0, 6.0, -2.0])
        assert credits_of(return_scale="std") == pytest.approx((to_go / to_go.std()).tolist())

    def test_returns_that_never_varied_do_not_scale_them(self) -> None:
        for past in (
            Moments(3, np.array([5.0]), np.array([0.0])),
            Moments(3, np.array([0.3]), np.array([1e-32])),
        ):
            assert credits_of(past=past, return_scale="std") == [7, 6, 4, 6, -2]

    def test_the_moments_are_those_of_unscaled_returns_to_go(self) -> None:
        own = estimator(return_scale="std", reward_scale=2.0)
        remembered = own.remember(NONE, BATCH)
        to_go = 2.0 * np.array([7, 6, 4, 6, -2])
        assert remembered.count == 5
        assert remembered.mean[0] == pytest.approx(to_go.mean())
        assert remembered.variance[0] == pytest.approx(to_go.var())
        assert estimator().remember(NONE, BATCH) is NONE


class TestAdvantageScale:
    def test_an_episodes_own_deviation(self) -> None:
        first, second = np.array([7.0, 6.0, 4.0]), np.array([6.0, -2.0])
        expected = [*(first / first.std()), *(second / second.std())]
        assert estimate(advantage_scale="episode_std").weights.tolist() == pytest.approx(expected)

    def test_an_episode_whose_advantages_do_not_vary_is_not_divided(self) -> None:
        batch = batch_of(Episode([[1]], [0], [0.1]), Episode([[1], [1]], [0, 0], [1, 1]))
        found = estimator(advantage_scale="episode_std").estimate(NoBaseline(), batch, NONE)
        assert found.weights.tolist() == pytest.approx([0.1, 4.0, 2.0])

    def test_gamma_to_the_t_multiplies_scaled_advantages(self) -> None:
        found = estimate(gamma=0.5, discount_states=True, advantage_scale="std")
        to_go = np.array([3.0, 4.0, 4.0, 7.0, -2.0])
        assert found.weights.tolist() == pytest.approx((to_go / to_go.std() * [1, 0.5, 0.25, 1, 0.5]).tolist())


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"credit": "lambda_return", "gae_lambda": 0.9}, ["gae_lambda=0.9"]),
        ({"credit": "lambda_return", "gae_lambda": 1.0}, []),
        ({"credit": "n_step_return", "n_steps": 3}, ["n_steps=3"]),
        ({"reward_clip": 1.0}, ["reward_clip=1.0"]),
        ({"reward_scale": 0.1, "return_scale": "std"}, []),
        ({"advantage_scale": "episode_std"}, ["advantage_scale=episode_std"]),
    ],
)
def test_biased_choices_are_named(changed: dict[str, Any], expected: list[str]) -> None:
    assert biases(estimator(**changed), Stub()) == expected


def test_returns_of_predictions_need_a_baseline_that_predicts() -> None:
    (objection,) = [*objections(estimator(credit="lambda_return"), NoBaseline())]
    assert objection.startswith("algorithm.credit=lambda_return needs a baseline that predicts")
    assert objection.endswith("set algorithm.credit=reward_to_go")


def test_a_baseline_with_its_own_rewards_needs_raw_rewards() -> None:
    greedy = GreedyRollout(1.0, None)
    assert [*objections(estimator(), greedy)] == []
    for changed in ({"reward_scale": 0.1}, {"reward_clip": 1.0}, {"return_scale": "std"}):
        (objection,) = [*objections(estimator(**changed), greedy)]
        (key,) = changed
        assert objection.startswith(f"algorithm.{key} given ")
        assert f"set algorithm.{key}=" in objection
    (objection,) = [*objections(estimator(episodes=None, open_tail="drop"), greedy)]
    assert objection.endswith("GreedyRollout needs whole episodes: set algorithm.batch.episodes")


def test_a_baseline_for_one_credit_refuses_another() -> None:
    assert [*objections(estimator(), LeaveOneOutPerStep())] == []
    (objection,) = [*objections(estimator(credit="total_return"), LeaveOneOutPerStep())]
    assert objection == (
        "algorithm.credit given total_return; LeaveOneOutPerStep is of reward_to_go alone: "
        "set algorithm.credit=reward_to_go"
    )
