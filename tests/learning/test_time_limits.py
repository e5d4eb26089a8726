"""Returns of truncated and partial episodes: ended or bootstrapped, and never bootstrapped after a termination."""

from collections.abc import Sequence

import numpy as np
import pytest

from pgexp.baselines.none import NoBaseline
from pgexp.functional.batch import Batch
from pgexp.learning.reinforce import Reinforce
from pgexp.schema import names
from tests.batches import Stub, ascended, reinforce, student_of, sum_of_scores
from tests.episodes import Episode, batch_of

WEIGHT = np.array([[0.3, -0.2], [0.0, 0.5]])
GAMMA = 0.5
# The stub predicts the sum of the final observation: 10 for the terminated, 20, 40 for the truncated and the open.
TERMINATED = Episode([[1, 0], [0, 1]], [0, 1], [1, 2], "terminated", final=[10, 0])
TRUNCATED = Episode([[1, 1], [0, 1]], [1, 1], [1, 2], "truncated", final=[0, 20])
OPEN = Episode([[1, 2], [0, 2]], [1, 0], [1, 2], "open", final=[20, 20])
ENDS = [2.0, 2.0]  # 1 + .5 * 2, and 2
BOOTSTRAPPED_20 = [1 + 0.5 * 12, 2 + 0.5 * 20]
BOOTSTRAPPED_40 = [1 + 0.5 * 22, 2 + 0.5 * 40]


def credits_of(algorithm: Reinforce, batch: Batch) -> list[float]:
    """Return the credit of each step."""
    stub = Stub()
    algorithm.update(student_of(WEIGHT, stub), batch, 0.0)
    return stub.learnt[0].of_steps.tolist()


class TestTimeLimit:
    def test_end_ends_the_return_at_the_limit(self) -> None:
        found = credits_of(reinforce(gamma=GAMMA, time_limit="end"), batch_of(TERMINATED, TRUNCATED))
        assert found == [*ENDS, *ENDS]

    def test_bootstrap_adds_the_prediction_at_the_last_observation(self) -> None:
        found = credits_of(reinforce(gamma=GAMMA, time_limit="bootstrap"), batch_of(TERMINATED, TRUNCATED))
        assert found == [*ENDS, *BOOTSTRAPPED_20]

    def test_a_true_termination_is_never_bootstrapped(self) -> None:
        found = credits_of(reinforce(gamma=GAMMA, time_limit="bootstrap"), batch_of(TERMINATED))
        assert found == ENDS

    def test_the_gradient_uses_the_bootstrapped_return(self) -> None:
        batch = batch_of(TRUNCATED)
        algorithm = reinforce(gamma=GAMMA, time_limit="bootstrap")
        found = ascended(algorithm, student_of(WEIGHT, Stub()), batch)
        np.testing.assert_allclose(found, sum_of_scores(WEIGHT, batch, BOOTSTRAPPED_20), rtol=1e-12)


class TestOpenTail:
    def test_bootstrap_adds_the_prediction_for_each_time_limit_setting(self) -> None:
        batch = batch_of(TERMINATED, TRUNCATED, OPEN)
        found = credits_of(reinforce(segments=True, gamma=GAMMA, time_limit="end"), batch)
        assert found == [*ENDS, *ENDS, *BOOTSTRAPPED_40]
        found = credits_of(reinforce(segments=True, gamma=GAMMA, time_limit="bootstrap"), batch)
        assert found == [*ENDS, *BOOTSTRAPPED_20, *BOOTSTRAPPED_40]

    def test_drop_excludes_unfinished_episodes_and_records_their_steps(self) -> None:
        algorithm = reinforce(segments=True, gamma=GAMMA, open_tail="drop")
        student = student_of(WEIGHT)
        found = ascended(algorithm, student, batch_of(TERMINATED, OPEN, TRUNCATED))
        kept = batch_of(TERMINATED, TRUNCATED)
        np.testing.assert_allclose(found, sum_of_scores(WEIGHT, kept, [*ENDS, *ENDS]) / 4, rtol=1e-12)
        recorded = algorithm.update(student_of(WEIGHT), batch_of(TERMINATED, OPEN, TRUNCATED), 0.0)
        assert recorded[names.DROPPED_STEPS] == 2.0

    def test_drop_keeps_an_episode_that_began_in_an_earlier_segment(self) -> None:
        late = Episode([[1, 0]], [0], [3], "terminated", first=9)
        assert credits_of(reinforce(segments=True, open_tail="drop"), batch_of(late)) == [3.0]

    def test_if_all_is_dropped_nothing_is_learnt(self) -> None:
        stub = Stub()
        algorithm = reinforce(segments=True, open_tail="drop")
        student = student_of(WEIGHT, stub)
        assert algorithm.update(student, batch_of(OPEN), 0.0) == {names.DROPPED_STEPS: 2.0}
        assert stub.learnt == []

    def test_batches_of_whole_episodes_drop_nothing(self) -> None:
        algorithm = reinforce(open_tail="drop")
        assert names.DROPPED_STEPS not in algorithm.update(student_of(WEIGHT), batch_of(TERMINATED), 0.0)


@pytest.mark.parametrize("ends", [(TERMINATED, TERMINATED), (TERMINATED, TRUNCATED), (TRUNCATED, TRUNCATED)])
def test_with_time_limit_end_predicting_and_other_baselines_estimate_one_gradient(ends: Sequence[Episode]) -> None:
    batch = batch_of(*ends)
    plain = ascended(reinforce(gamma=GAMMA), student_of(WEIGHT, NoBaseline()), batch)
    assert np.array_equal(ascended(reinforce(gamma=GAMMA), student_of(WEIGHT, Stub()), batch), plain)
