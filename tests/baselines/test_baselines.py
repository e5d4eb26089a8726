"""Formulas of the baselines, with numbers computed by hand."""

import itertools

import numpy as np
import pytest

from pgexp.algorithms.advantages import AdvantageEstimator
from pgexp.baselines.baseline import Baseline, Predictor, Replay
from pgexp.baselines.constant import Constant
from pgexp.baselines.ema import ExponentialMovingAverage
from pgexp.baselines.episode_mean import EpisodeMean
from pgexp.baselines.greedy_rollout import GreedyRollout
from pgexp.baselines.leave_one_out import LeaveOneOut
from pgexp.baselines.leave_one_out_per_step import LeaveOneOutPerStep
from pgexp.baselines.mean import BatchMean
from pgexp.baselines.none import NoBaseline
from pgexp.baselines.optimal_constant import OptimalConstant
from pgexp.baselines.per_step_mean import PerStepMean
from pgexp.baselines.recency_weighted import RecencyWeightedAverage
from pgexp.baselines.running_mean import RunningMean
from pgexp.functional.arrays import Floats
from pgexp.functional.batch import Batch
from pgexp.functional.returns import episode_sums
from pgexp.schema import names
from tests.episodes import Episode, batch_of, estimate, estimator, returns_of

# Returns-to-go 6, 5, 3 | 10, 4 | -1; whole returns 6, 10, -1.
BATCH = batch_of(
    Episode([[1]] * 3, [0] * 3, [1, 2, 3]),
    Episode([[1]] * 2, [0] * 2, [6, 4]),
    Episode([[1]], [0], [-1]),
)
ALONE = batch_of(Episode([[1]] * 2, [0] * 2, [6, 4]))
REWARD_TO_GO, TOTAL_RETURN = estimator(), estimator(return_type="total_return")
BOTH = pytest.mark.parametrize("how", [REWARD_TO_GO, TOTAL_RETURN])


def values(baseline: Baseline, how: AdvantageEstimator, batch: Batch = BATCH) -> list[float]:
    """Return the baseline of each step."""
    return estimate(how, baseline, batch).values.tolist()


def learn(baseline: Baseline, how: AdvantageEstimator, batch: Batch = BATCH) -> dict[str, float]:
    return baseline.update(batch, returns_of(how, batch))


@BOTH
def test_none_subtracts_nothing(how: AdvantageEstimator) -> None:
    assert values(NoBaseline(), how) == [0.0] * 6


@BOTH
def test_a_constant_is_equal_everywhere_and_never_changes(how: AdvantageEstimator) -> None:
    constant = Constant(-2.5)
    assert learn(constant, how) == {}
    assert values(constant, how) == [-2.5] * 6
    assert constant.predict(BATCH).final.tolist() == [-2.5] * 3


class TestMean:
    def test_of_returns_to_go_it_is_over_all_steps(self) -> None:
        assert values(BatchMean(), REWARD_TO_GO) == pytest.approx([(6 + 5 + 3 + 10 + 4 - 1) / 6] * 6)

    def test_of_total_returns_it_is_over_episodes_of_any_length(self) -> None:
        assert values(BatchMean(), TOTAL_RETURN) == pytest.approx([(6 + 10 - 1) / 3] * 6)

    def test_of_one_episode_it_is_the_mean_of_that_episode(self) -> None:
        assert values(BatchMean(), TOTAL_RETURN, ALONE) == [10.0, 10.0]
        assert values(BatchMean(), REWARD_TO_GO, ALONE) == [7.0, 7.0]


class TestLeaveOneOut:
    def test_of_returns_to_go_it_is_over_the_others_steps(self) -> None:
        first, second, third = (10 + 4 - 1) / 3, (6 + 5 + 3 - 1) / 4, (6 + 5 + 3 + 10 + 4) / 5
        assert values(LeaveOneOut(), REWARD_TO_GO) == pytest.approx([first] * 3 + [second] * 2 + [third])

    def test_of_total_returns_it_is_over_the_other_episodes(self) -> None:
        first, second, third = (10 - 1) / 2, (6 - 1) / 2, (6 + 10) / 2
        assert values(LeaveOneOut(), TOTAL_RETURN) == pytest.approx([first] * 3 + [second] * 2 + [third])

    @BOTH
    def test_of_one_episode_it_is_0(self, how: AdvantageEstimator) -> None:
        assert values(LeaveOneOut(), how, ALONE) == [0.0, 0.0]

    def test_it_does_not_depend_on_the_episodes_own_return(self) -> None:
        for own in (-100.0, 0.0, 1e6):
            batch = batch_of(Episode([[1]], [0], [own]), Episode([[1]], [0], [3]), Episode([[1]], [0], [4]))
            assert values(LeaveOneOut(), REWARD_TO_GO, batch)[0] == 3.5


class TestRunningMean:
    @pytest.mark.parametrize(
        ("how", "first", "second"),
        [(REWARD_TO_GO, 27 / 6, (27 + 10 + 4) / 8), (TOTAL_RETURN, 15 / 3, (15 + 10) / 4)],
    )
    def test_it_is_over_all_past_steps_or_episodes(self, how: AdvantageEstimator, first: float, second: float) -> None:
        mean = RunningMean()
        assert values(mean, how) == [0.0] * 6
        assert learn(mean, how) == {names.BASELINE_VALUE: 0.0}
        assert values(mean, how) == pytest.approx([first] * 6)
        assert learn(mean, how, ALONE) == {names.BASELINE_VALUE: pytest.approx(first)}
        assert values(mean, how) == pytest.approx([second] * 6)
        assert mean.predict(BATCH).final == pytest.approx([second] * 3)


class TestExponentialMovingAverage:
    @pytest.mark.parametrize("decay", [0.0, 0.5, 0.9, 1.0])
    def test_it_is_0_then_the_first_batchs_mean(self, decay: float) -> None:
        average = ExponentialMovingAverage(decay)
        assert values(average, REWARD_TO_GO) == [0.0] * 6
        learn(average, REWARD_TO_GO)
        assert values(average, REWARD_TO_GO) == pytest.approx([27 / 6] * 6)
        assert average.predict(BATCH).final == pytest.approx([27 / 6] * 3)

    @pytest.mark.parametrize(
        ("decay", "expected"),
        [(0.0, 6.0), (0.5, (0.25 * 4.5 + 0.5 * 7 + 6) / 1.75), (1.0, (4.5 + 7 + 6) / 3)],
    )
    def test_weights_of_batches_decay(self, decay: float, expected: float) -> None:
        average = ExponentialMovingAverage(decay)
        for batch in (BATCH, ALONE, batch_of(Episode([[1]], [0], [6]))):
            learn(average, REWARD_TO_GO, batch)
        assert values(average, REWARD_TO_GO) == pytest.approx([expected] * 6)

    def test_it_equals_adams_corrected_first_moment(self) -> None:
        average, moment = ExponentialMovingAverage(0.9), 0.0
        for step, reward in enumerate([3.0, -1.0, 4.0, 1.0, -5.0], 1):
            batch = batch_of(Episode([[1]], [0], [reward]))
            learn(average, REWARD_TO_GO, batch)
            moment = 0.9 * moment + 0.1 * reward
            assert values(average, REWARD_TO_GO, batch) == pytest.approx([moment / (1 - 0.9**step)])

    def test_of_total_returns_a_batchs_mean_is_over_its_episodes(self) -> None:
        average = ExponentialMovingAverage(0.5)
        learn(average, TOTAL_RETURN)
        assert learn(average, TOTAL_RETURN, ALONE) == {names.BASELINE_VALUE: pytest.approx(5.0)}
        assert values(average, TOTAL_RETURN) == pytest.approx([(0.5 * 5 + 10) / 1.5] * 6)


class TestRecencyWeightedAverage:
    @pytest.mark.parametrize(("how", "targets"), [(REWARD_TO_GO, [6, 5, 3, 10, 4, -1]), (TOTAL_RETURN, [6, 10, -1])])
    @pytest.mark.parametrize("step_size", [0.0, 0.25, 1.0])
    def test_it_moves_towards_each_return_in_turn(
        self, step_size: float, how: AdvantageEstimator, targets: list[float]
    ) -> None:
        average, expected = RecencyWeightedAverage(step_size), 0.0
        for _ in range(2):
            assert values(average, how) == pytest.approx([expected] * 6)
            assert average.predict(BATCH).final == pytest.approx([expected] * 3)
            assert learn(average, how) == {names.BASELINE_VALUE: pytest.approx(expected)}
            for target in targets:
                expected += step_size * (target - expected)

    def test_a_long_episode_keeps_it_within_the_returns(self) -> None:
        # Returns-to-go from -1,000 to -1. One step along the summed errors would reach -500,500 / 64.
        average = RecencyWeightedAverage(2**-6)
        batch = batch_of(Episode([[1]] * 1000, [0] * 1000, [-1.0] * 1000))
        learn(average, REWARD_TO_GO, batch)
        assert -64 < values(average, REWARD_TO_GO, batch)[0] < -63  # -1 / step_size, with an error of .984^1000


class TestPerStep:
    def test_the_mean_is_over_the_episodes_with_a_step_at_that_time(self) -> None:
        first, second, third = (6 + 10 - 1) / 3, (5 + 4) / 2, 3.0
        assert values(PerStepMean(), REWARD_TO_GO) == pytest.approx([first, second, third, first, second, first])

    def test_of_total_returns_too(self) -> None:
        first, second, third = (6 + 10 - 1) / 3, (6 + 10) / 2, 6.0
        assert values(PerStepMean(), TOTAL_RETURN) == pytest.approx([first, second, third, first, second, first])

    def test_steps_of_segments_have_their_time_in_the_episode(self) -> None:
        batch = batch_of(Episode([[1]] * 2, [0] * 2, [1, 2]), Episode([[1]] * 2, [0] * 2, [4, 8], first=1))
        assert values(PerStepMean(), REWARD_TO_GO, batch) == pytest.approx([3.0, 7.0, 7.0, 8.0])

    def test_leave_one_out_per_step_counts_ended_episodes_as_0(self) -> None:
        first = [(10 - 1) / 2, 4 / 2, 0.0]
        second = [(6 - 1) / 2, 5 / 2]
        assert values(LeaveOneOutPerStep(), REWARD_TO_GO) == pytest.approx([*first, *second, (6 + 10) / 2])

    def test_leave_one_out_of_one_episode_is_0(self) -> None:
        assert values(LeaveOneOutPerStep(), REWARD_TO_GO, ALONE) == [0.0, 0.0]


def test_the_episode_mean_is_of_each_episode() -> None:
    assert values(EpisodeMean(), REWARD_TO_GO) == pytest.approx([14 / 3] * 3 + [7.0] * 2 + [-1.0])


class TestOptimalConstant:
    """The scores of steps are 1, -1, 2 | 1, 1 | 3, those of episodes 2, 2, 3 with squares 4, 4, 9."""

    @staticmethod
    def scores(batch: Batch, weights: Floats) -> Floats:
        return episode_sums(weights * np.array([1, -1, 2, 1, 1, 3.0])[: batch.steps], batch.lengths)[:, None]

    def test_of_returns_to_go(self) -> None:
        # The weighted scores are 6 - 5 + 6 = 7, 10 + 4 = 14, -3; times the scores of episodes 14, 28, -9.
        expected = [(28 - 9) / 13] * 3 + [(14 - 9) / 13] * 2 + [(14 + 28) / 8]
        assert values(OptimalConstant(self.scores), REWARD_TO_GO) == pytest.approx(expected)

    def test_of_total_returns(self) -> None:
        # Each return times the squared score of its episode: 24, 40, -9.
        expected = [(40 - 9) / 13] * 3 + [(24 - 9) / 13] * 2 + [(24 + 40) / 8]
        assert values(OptimalConstant(self.scores), TOTAL_RETURN) == pytest.approx(expected)

    def test_many_parameters_are_one_vector(self) -> None:
        def scores(batch: Batch, weights: Floats) -> Floats:
            return self.scores(batch, weights) * np.array([0.6, 0.8])

        once = values(OptimalConstant(self.scores), REWARD_TO_GO)
        assert values(OptimalConstant(scores), REWARD_TO_GO) == pytest.approx(once)

    def test_the_own_score_of_an_episode_has_no_influence(self) -> None:
        def scores(batch: Batch, weights: Floats) -> Floats:
            return self.scores(batch, weights) * np.array([[1], [1], [1e12]])

        assert values(OptimalConstant(scores), REWARD_TO_GO)[-1] == pytest.approx((14 + 28) / 8)

    def test_it_stays_within_the_returns_if_gradients_almost_cancel(self) -> None:
        def scores(batch: Batch, weights: Floats) -> Floats:
            weighted = weights * np.array([0.1, 0.2, -0.3, -0.1, 0.1, 1])  # .1 + .2 - .3 is 5.6e-17
            return episode_sums(weighted, batch.lengths)[:, None]

        plain = scores(BATCH, np.ones(6))
        assert 0 < plain[0, 0] < 1e-16
        assert plain[1, 0] == 0
        # The weighted scores are .6 + 1 - .9 = .7 and -1 + .4 = -.6, so the ratio is about 1e16.
        assert values(OptimalConstant(scores), REWARD_TO_GO)[-1] == 10.0

    def test_it_is_0_if_the_others_have_no_score(self) -> None:
        def scores(batch: Batch, weights: Floats) -> Floats:
            return self.scores(batch, weights) * np.array([[0], [0], [1]])

        assert values(OptimalConstant(scores), TOTAL_RETURN) == [-1.0] * 5 + [0.0]

    @BOTH
    def test_of_one_episode_it_is_0(self, how: AdvantageEstimator) -> None:
        assert values(OptimalConstant(self.scores), how, ALONE) == [0.0, 0.0]


class TestGreedyRollout:
    """The greedy episodes pay 4, 2 | 8 | 1, 1, 1; with gamma = 1/2 they return 5, 2 | 8 | 1.75, 1.5, 1."""

    asked: list[Batch]

    def greedy(self, batch: Batch) -> Replay:
        self.asked = [batch]
        return Replay(np.array([4, 2, 8, 1, 1, 1.0]), np.array([2, 1, 3]))

    def test_it_is_the_greedy_return_to_go_and_0_after_the_end(self) -> None:
        found = values(GreedyRollout(0.5, self.greedy), estimator(gamma=0.5))
        assert found == [5.0, 2.0, 0.0, 8.0, 0.0, 1.75]
        assert self.asked == [BATCH]

    def test_with_total_returns_it_is_the_total_return(self) -> None:
        found = values(GreedyRollout(0.5, self.greedy), estimator(gamma=0.5, return_type="total_return"))
        assert found == [5.0, 5.0, 5.0, 8.0, 8.0, 1.75]

    @BOTH
    def test_both_returns_are_equal_for_episodes_of_one_step(self, how: AdvantageEstimator) -> None:
        batch = batch_of(*[Episode([[1]], [0], [3])] * 3)
        assert values(GreedyRollout(0.5, self.greedy), how, batch) == [5.0, 8.0, 1.75]


@BOTH
@pytest.mark.parametrize(
    "baseline", [NoBaseline(), BatchMean(), LeaveOneOut(), PerStepMean(), LeaveOneOutPerStep(), EpisodeMean()]
)
def test_baselines_without_state(baseline: Baseline, how: AdvantageEstimator) -> None:
    before = values(baseline, how)
    assert learn(baseline, how, ALONE) == {}
    assert values(baseline, how) == before
    assert vars(baseline) == {}
    assert not isinstance(baseline, Predictor)


@pytest.mark.parametrize(
    ("baseline", "return_type"),
    [
        (BatchMean(), "total_return"),
        *itertools.product([LeaveOneOut(), PerStepMean(), OptimalConstant(np.outer)], ["reward_to_go", "total_return"]),
        (LeaveOneOutPerStep(), "reward_to_go"),
    ],
)
def test_baselines_that_need_two_episodes_refuse_one(baseline: Baseline, return_type: str) -> None:
    (conflict,) = estimator(episodes=1, return_type=return_type).config_conflicts(baseline)
    assert "must be at least 2" in conflict
    assert not [*estimator(episodes=2, return_type=return_type).config_conflicts(baseline)]
