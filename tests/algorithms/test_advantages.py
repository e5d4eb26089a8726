"""Returns, advantages and weights of steps; time limits and partial episodes; conflicts and biases of settings."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from pgexp.algorithms.advantages import GradientEstimate
from pgexp.algorithms.reinforce import Reinforce
from pgexp.baselines.baseline import Baseline
from pgexp.baselines.greedy_rollout import GreedyRollout
from pgexp.baselines.leave_one_out_per_step import LeaveOneOutPerStep
from pgexp.baselines.none import NoBaseline
from pgexp.functional.batch import Batch
from pgexp.functional.normalization import Moments
from pgexp.schema import names
from tests.episodes import EMPTY, Episode, batch_of, estimate, estimator
from tests.softmax_runs import Stub, policy_gradient, reinforce, train_state, update, weight_change

BATCH = batch_of(
    Episode([[1, 0], [0, 1], [1, 1]], [0, 2, 1], [1, 2, 4], "truncated", final=[5, 5]),
    Episode([[1, -1], [2, 0]], [1, 1], [8, -2], final=[7, 7]),
)


def estimated(baseline: Baseline | None = None, past: Moments = EMPTY, **changed: Any) -> GradientEstimate:
    return estimate(estimator(**changed), baseline or NoBaseline(), BATCH, past)


def returns_of(*arguments: Any, **changed: Any) -> list[float]:
    return estimated(*arguments, **changed).returns.per_step.tolist()


class TestReturns:
    def test_lambda_returns_use_the_baselines_values(self) -> None:
        # With V = 3 everywhere, gamma = 1/2, lambda = 0: r + 3/2, and at the last steps, which end, r.
        found = returns_of(Stub(3.0), return_type="lambda_return", gamma=0.5, gae_lambda=0.0)
        assert found == pytest.approx([2.5, 3.5, 4.0, 9.5, -2.0])

    def test_at_a_time_limit_they_end_or_are_bootstrapped(self) -> None:
        found = returns_of(Stub(3.0), return_type="lambda_return", gamma=0.5, gae_lambda=0.0, time_limit="bootstrap")
        assert found == pytest.approx([2.5, 3.5, 4.0 + 10 / 2, 9.5, -2.0])

    def test_n_step_returns_sum_n_rewards_and_the_value_after_them(self) -> None:
        found = returns_of(Stub(3.0), return_type="n_step_return", gamma=0.5, n_steps=2)
        assert found == pytest.approx([1 + 1 + 3 / 4, 2 + 2, 4.0, 8 - 1, -2.0])

    def test_with_lambda_1_they_are_the_returns_to_go(self) -> None:
        found = returns_of(Stub(3.0), return_type="lambda_return", gae_lambda=1.0)
        assert found == pytest.approx([7, 6, 4, 6, -2])


class TestRewards:
    def test_they_are_scaled_and_then_clipped(self) -> None:
        assert estimated(reward_scale=0.5, reward_clip=1.5).rewards.tolist() == [0.5, 1.0, 1.5, 1.5, -1.0]

    def test_they_are_divided_by_the_deviation_of_past_returns(self) -> None:
        past = Moments(10, np.array([100.0]), np.array([4.0]))
        assert returns_of(past=past, return_scale="std") == pytest.approx([3.5, 3.0, 2.0, 3.0, -1.0])
        assert returns_of(past=past) == [7, 6, 4, 6, -2]

    def test_the_first_batch_is_divided_by_its_own_deviation(self) -> None:
        to_go = np.array([7.0, 6.0, 4.0, 6.0, -2.0])
        assert returns_of(return_scale="std") == pytest.approx((to_go / to_go.std()).tolist())

    def test_returns_that_never_varied_do_not_scale_them(self) -> None:
        for past in (
            Moments(3, np.array([5.0]), np.array([0.0])),
            Moments(3, np.array([0.3]), np.array([1e-32])),
        ):
            assert returns_of(past=past, return_scale="std") == [7, 6, 4, 6, -2]

    def test_the_moments_are_those_of_unscaled_returns_to_go(self) -> None:
        own = estimator(return_scale="std", reward_scale=2.0)
        moments = own.merge_returns(EMPTY, BATCH)
        to_go = 2.0 * np.array([7, 6, 4, 6, -2])
        assert moments.count == 5
        assert moments.mean[0] == pytest.approx(to_go.mean())
        assert moments.variance[0] == pytest.approx(to_go.var())
        assert estimator().merge_returns(EMPTY, BATCH) is EMPTY


class TestAdvantageScale:
    def test_an_episodes_own_deviation(self) -> None:
        first, second = np.array([7.0, 6.0, 4.0]), np.array([6.0, -2.0])
        expected = [*(first / first.std()), *(second / second.std())]
        assert estimated(advantage_scale="episode_std").weights.tolist() == pytest.approx(expected)

    def test_an_episode_whose_advantages_do_not_vary_is_not_divided(self) -> None:
        batch = batch_of(Episode([[1]], [0], [0.1]), Episode([[1], [1]], [0, 0], [1, 1]))
        found = estimate(estimator(advantage_scale="episode_std"), NoBaseline(), batch)
        assert found.weights.tolist() == pytest.approx([0.1, 4.0, 2.0])

    def test_gamma_to_the_t_multiplies_scaled_advantages(self) -> None:
        found = estimated(gamma=0.5, discount_states=True, advantage_scale="std")
        to_go = np.array([3.0, 4.0, 4.0, 7.0, -2.0])
        assert found.weights.tolist() == pytest.approx((to_go / to_go.std() * [1, 0.5, 0.25, 1, 0.5]).tolist())


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"return_type": "lambda_return", "gae_lambda": 0.9}, ["gae_lambda=0.9"]),
        ({"return_type": "lambda_return", "gae_lambda": 1.0}, []),
        ({"return_type": "n_step_return", "n_steps": 3}, ["n_steps=3"]),
        ({"reward_clip": 1.0}, ["reward_clip=1.0"]),
        ({"reward_scale": 0.1, "return_scale": "std"}, []),
        ({"advantage_scale": "episode_std"}, ["advantage_scale=episode_std"]),
    ],
)
def test_biased_choices_are_named(changed: dict[str, Any], expected: list[str]) -> None:
    assert estimator(**changed).bias_sources(Stub()) == expected


def test_returns_of_predictions_need_a_baseline_that_predicts() -> None:
    (conflict,) = [*estimator(return_type="lambda_return").config_conflicts(NoBaseline())]
    assert conflict.startswith("algorithm.return_type must be reward_to_go")


def test_a_baseline_with_its_own_rewards_needs_raw_rewards() -> None:
    greedy = GreedyRollout(1.0, None)
    assert [*estimator().config_conflicts(greedy)] == []
    for changed in ({"reward_scale": 0.1}, {"reward_clip": 1.0}, {"return_scale": "std"}):
        (conflict,) = [*estimator(**changed).config_conflicts(greedy)]
        (key,) = changed
        assert conflict.startswith(f"algorithm.{key} must be ")
    (conflict,) = [*estimator(episodes=None, partial_episodes="drop").config_conflicts(greedy)]
    assert conflict.startswith("algorithm.batch.steps")


def test_a_baseline_may_require_a_return_type() -> None:
    assert [*estimator().config_conflicts(LeaveOneOutPerStep())] == []
    (conflict,) = [*estimator(return_type="total_return").config_conflicts(LeaveOneOutPerStep())]
    assert conflict.startswith("algorithm.return_type must be reward_to_go")


WEIGHT = np.array([[0.3, -0.2], [0.0, 0.5]])
GAMMA = 0.5
# The stub predicts the sum of the final observation: 10 for the terminated, 20, 40 for the truncated and the open.
TERMINATED = Episode([[1, 0], [0, 1]], [0, 1], [1, 2], "terminated", final=[10, 0])
TRUNCATED = Episode([[1, 1], [0, 1]], [1, 1], [1, 2], "truncated", final=[0, 20])
OPEN = Episode([[1, 2], [0, 2]], [1, 0], [1, 2], "open", final=[20, 20])
ENDS = [2.0, 2.0]  # 1 + .5 * 2, and 2
BOOTSTRAPPED_20 = [1 + 0.5 * 12, 2 + 0.5 * 20]
BOOTSTRAPPED_40 = [1 + 0.5 * 22, 2 + 0.5 * 40]


def fitted_returns(algorithm: Reinforce, batch: Batch) -> list[float]:
    """Return the returns of the steps that the baseline is fitted to."""
    stub = Stub()
    update(algorithm, train_state(WEIGHT, stub), batch)
    return stub.fitted[0].per_step.tolist()


class TestTimeLimit:
    def test_end_ends_the_return_at_the_limit(self) -> None:
        found = fitted_returns(reinforce(gamma=GAMMA, time_limit="end"), batch_of(TERMINATED, TRUNCATED))
        assert found == [*ENDS, *ENDS]

    def test_bootstrap_adds_the_prediction_at_the_last_observation(self) -> None:
        found = fitted_returns(reinforce(gamma=GAMMA, time_limit="bootstrap"), batch_of(TERMINATED, TRUNCATED))
        assert found == [*ENDS, *BOOTSTRAPPED_20]

    def test_a_true_termination_is_never_bootstrapped(self) -> None:
        found = fitted_returns(reinforce(gamma=GAMMA, time_limit="bootstrap"), batch_of(TERMINATED))
        assert found == ENDS

    def test_the_gradient_uses_the_bootstrapped_return(self) -> None:
        batch = batch_of(TRUNCATED)
        algorithm = reinforce(gamma=GAMMA, time_limit="bootstrap")
        found = weight_change(algorithm, train_state(WEIGHT, Stub()), batch)
        np.testing.assert_allclose(found, policy_gradient(WEIGHT, batch, BOOTSTRAPPED_20), rtol=1e-12)


class TestPartialEpisodes:
    def test_partial_episodes_are_bootstrapped_for_each_time_limit(self) -> None:
        batch = batch_of(TERMINATED, TRUNCATED, OPEN)
        found = fitted_returns(reinforce(segments=True, gamma=GAMMA, time_limit="end"), batch)
        assert found == [*ENDS, *ENDS, *BOOTSTRAPPED_40]
        found = fitted_returns(reinforce(segments=True, gamma=GAMMA, time_limit="bootstrap"), batch)
        assert found == [*ENDS, *BOOTSTRAPPED_20, *BOOTSTRAPPED_40]

    def test_drop_excludes_partial_episodes_and_records_their_steps(self) -> None:
        algorithm = reinforce(segments=True, gamma=GAMMA, partial_episodes="drop")
        state = train_state(WEIGHT)
        found = weight_change(algorithm, state, batch_of(TERMINATED, OPEN, TRUNCATED))
        kept = batch_of(TERMINATED, TRUNCATED)
        np.testing.assert_allclose(found, policy_gradient(WEIGHT, kept, [*ENDS, *ENDS]) / 4, rtol=1e-12)
        recorded = update(algorithm, train_state(WEIGHT), batch_of(TERMINATED, OPEN, TRUNCATED))
        assert recorded[names.DROPPED_STEPS] == 2.0

    def test_drop_keeps_an_episode_that_began_in_an_earlier_segment(self) -> None:
        late = Episode([[1, 0]], [0], [3], "terminated", first=9)
        assert fitted_returns(reinforce(segments=True, partial_episodes="drop"), batch_of(late)) == [3.0]

    def test_without_steps_there_is_no_update(self) -> None:
        stub = Stub()
        algorithm = reinforce(segments=True, partial_episodes="drop")
        state = train_state(WEIGHT, stub)
        assert update(algorithm, state, batch_of(OPEN)) == {names.DROPPED_STEPS: 2.0}
        assert stub.fitted == []

    def test_batches_of_whole_episodes_drop_nothing(self) -> None:
        algorithm = reinforce(partial_episodes="drop")
        assert names.DROPPED_STEPS not in update(algorithm, train_state(WEIGHT), batch_of(TERMINATED))


@pytest.mark.parametrize("ends", [(TERMINATED, TERMINATED), (TERMINATED, TRUNCATED), (TRUNCATED, TRUNCATED)])
def test_with_time_limit_end_all_baselines_estimate_one_gradient(ends: Sequence[Episode]) -> None:
    batch = batch_of(*ends)
    plain = weight_change(reinforce(gamma=GAMMA), train_state(WEIGHT, NoBaseline()), batch)
    assert np.array_equal(weight_change(reinforce(gamma=GAMMA), train_state(WEIGHT, Stub()), batch), plain)
