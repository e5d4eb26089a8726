"""Configurations in the order in which they do, and of how many seeds that is known."""

from collections.abc import Callable, Sequence

import pytest

from pgexp.storage.following import RunStanding, RunState, Standing
from pgexp.storage.ranking import ConfigurationStanding, ranked
from pgexp.storage.record import Record


@pytest.fixture
def rank(make_record: Callable[..., Record]) -> Callable[..., Sequence[ConfigurationStanding]]:
    """Ranks configurations a, b, ... of two seeds each, whose runs stand as told: all first seeds, then all second."""

    def ranked_of(*runs: RunStanding) -> Sequence[ConfigurationStanding]:
        names = "abcdef"[: len(runs) // 2]
        record = make_record(names=names)  # a's two seeds, b's two, ...
        pairs = zip(runs[: len(names)], runs[len(names) :], strict=True)
        return ranked(record, Standing([run for pair in pairs for run in pair]))

    return ranked_of


def finished(score: float | None) -> RunStanding:
    return RunStanding("finished", 100, 1.0, None, 5.0, score)


def running(return_mean: float | None, state: RunState = "running") -> RunStanding:
    return RunStanding(state, 10, 0.1, 50.0 if state == "running" else None, return_mean)


Rank = Callable[..., Sequence[ConfigurationStanding]]


def names(configurations: Sequence[ConfigurationStanding]) -> str:
    return "".join(each.name.removeprefix("lr=") for each in configurations)


def test_final_scores_come_first_by_their_mean(rank: Rank) -> None:
    found = rank(finished(1.0), finished(9.0), running(99.0), finished(2.0), finished(-3.0), running(None))
    assert names(found) == "bac"  # b: 3, a: 1.5, c: 99, but in training
    assert [each.score for each in found] == [3.0, 1.5, None]


def test_a_mean_is_of_the_seeds_that_have_finished(rank: Rank) -> None:
    first, second = rank(finished(4.0), finished(5.0), running(70.0), finished(3.0))
    assert (first.name, first.score, len(first.scores), first.return_mean) == ("lr=a", 4.0, 1, 70.0)
    assert (second.name, second.score, len(second.scores), second.return_mean) == ("lr=b", 4.0, 2, None)


def test_before_any_final_score_training_returns_rank(rank: Rank) -> None:
    found = rank(running(1.0), running(-2.0), running(None), running(3.0), running(8.0), running(None))
    assert names(found) == "bac"  # b: 3 (-2 and 8), a: 2, c: nothing
    assert [each.return_mean for each in found] == [3.0, 2.0, None]


def test_what_stopped_ranks_by_nothing(rank: Rank) -> None:
    failed = RunStanding("failed", 10, 0.1, None, 50.0, 60.0)
    assert names(rank(running(90.0, "killed"), running(1.0), failed, running(None, "waiting"))) == "ba"


def test_a_score_that_is_no_number_is_left_out(rank: Rank) -> None:
    assert rank(finished(None), finished(2.0))[0].scores == [2.0]


def test_equals_keep_their_order(rank: Rank) -> None:
    waiting = RunStanding("waiting")
    assert names(rank(*[waiting] * 6)) == "abc"
    assert names(rank(finished(2.0), finished(2.0), waiting, waiting)) == "ab"
