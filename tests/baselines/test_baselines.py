"""Each baseline's formula, on numbers worked out by hand."""

import numpy as np
import pytest

from pgexp.baselines.baseline import Baseline, Predictor
from pgexp.baselines.leave_one_out import LeaveOneOut
from pgexp.baselines.mean import BatchMean
from pgexp.baselines.none import NoBaseline
from pgexp.functional.arrays import Floats
from pgexp.functional.batch import Batch, Credit
from pgexp.learning.reinforce import Reinforce
from tests.batches import Episode, batch_of, reinforce, student_of

# Returns-to-go 6, 5, 3 | 10, 4 | -1; whole returns 6, 10, -1.
BATCH = batch_of(
    Episode([[1]] * 3, [0] * 3, [1, 2, 3]),
    Episode([[1]] * 2, [0] * 2, [6, 4]),
    Episode([[1]], [0], [-1]),
)
ALONE = batch_of(Episode([[1]] * 2, [0] * 2, [6, 4]))
REWARD_TO_GO, TOTAL_RETURN = reinforce(), reinforce(credit="total_return")


def values(baseline: Baseline, algorithm: Reinforce, batch: Batch = BATCH) -> list[float]:
    """Return what the baseline subtracts from each step's credit when the algorithm learns from a batch."""
    valued: list[float] = []

    class Watched(Baseline):
        def values(self, batch: Batch, credit: Credit) -> Floats:
            found = baseline.values(batch, credit)
            valued.extend(found)
            return found

        def update(self, batch: Batch, credit: Credit) -> dict[str, float]:
            return baseline.update(batch, credit)

    algorithm.update(student_of(np.zeros((1, 2)), Watched()), batch)
    return valued


@pytest.mark.parametrize("algorithm", [REWARD_TO_GO, TOTAL_RETURN])
def test_none_subtracts_nothing(algorithm: Reinforce) -> None:
    assert values(NoBaseline(), algorithm) == [0.0] * 6


class TestMean:
    def test_of_returns_to_go_it_is_over_all_steps(self) -> None:
        assert values(BatchMean(), REWARD_TO_GO) == pytest.approx([(6 + 5 + 3 + 10 + 4 - 1) / 6] * 6)

    def test_of_total_returns_it_is_over_episodes_however_long(self) -> None:
        assert values(BatchMean(), TOTAL_RETURN) == pytest.approx([(6 + 10 - 1) / 3] * 6)

    def test_of_one_episode_it_is_its_own(self) -> None:
        assert values(BatchMean(), TOTAL_RETURN, ALONE) == [10.0, 10.0]
        assert values(BatchMean(), REWARD_TO_GO, ALONE) == [7.0, 7.0]


class TestLeaveOneOut:
    def test_of_returns_to_go_it_is_over_the_others_steps(self) -> None:
        first, second, third = (10 + 4 - 1) / 3, (6 + 5 + 3 - 1) / 4, (6 + 5 + 3 + 10 + 4) / 5
        assert values(LeaveOneOut(), REWARD_TO_GO) == pytest.approx([first] * 3 + [second] * 2 + [third])

    def test_of_total_returns_it_is_over_the_other_episodes(self) -> None:
        first, second, third = (10 - 1) / 2, (6 - 1) / 2, (6 + 10) / 2
        assert values(LeaveOneOut(), TOTAL_RETURN) == pytest.approx([first] * 3 + [second] * 2 + [third])

    @pytest.mark.parametrize("algorithm", [REWARD_TO_GO, TOTAL_RETURN])
    def test_of_one_episode_it_is_nothing(self, algorithm: Reinforce) -> None:
        assert values(LeaveOneOut(), algorithm, ALONE) == [0.0, 0.0]

    def test_it_does_not_depend_on_the_episodes_own_return(self) -> None:
        for own in (-100.0, 0.0, 1e6):
            batch = batch_of(Episode([[1]], [0], [own]), Episode([[1]], [0], [3]), Episode([[1]], [0], [4]))
            assert values(LeaveOneOut(), REWARD_TO_GO, batch)[0] == 3.5


@pytest.mark.parametrize("baseline", [NoBaseline(), BatchMean(), LeaveOneOut()])
def test_they_hold_no_state_and_predict_nothing(baseline: Baseline) -> None:
    first = values(baseline, REWARD_TO_GO)
    assert values(baseline, REWARD_TO_GO) == first
    assert vars(baseline) == {}
    assert not isinstance(baseline, Predictor)
