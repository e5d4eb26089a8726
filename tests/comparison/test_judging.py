import numpy as np
import pandas as pd

from pgexp.comparison.judging import judged
from pgexp.schema.names import FINAL_RETURN
from tests.comparison.scored import configuration, joined


def scores(runs: pd.DataFrame) -> list[tuple[str, int, float, bool]]:
    rows = judged(runs)
    columns = ["configuration_name", "seed", "score", "failed"]
    return list(rows[columns].itertuples(index=False, name=None))


def test_a_failed_run_is_worth_the_worst_score_of_its_environment() -> None:
    runs = joined(
        configuration([30.0, None], baseline="a"),
        configuration([-5.0, 50.0], baseline="b"),
        configuration([-80.0, None], environment="Acrobot-v1", baseline="a"),
    )
    assert scores(runs) == [
        ("baseline=a", 0, 30, False),
        ("baseline=a", 1, -5, True),
        ("baseline=b", 0, -5, False),
        ("baseline=b", 1, 50, False),
        ("baseline=a", 0, -80, False),
        ("baseline=a", 1, -80, True),
    ]


def test_a_score_that_is_not_finite_is_a_failed_run() -> None:
    runs = configuration([1.0, 2.0, -np.inf, np.inf], baseline="a")
    assert [row[2:] for row in scores(runs)] == [(1, False), (2, False), (1, True), (1, True)]


def test_runs_that_have_not_ended_are_left_out() -> None:
    runs = configuration([1.0, None, None, None, None], baseline="a")
    runs["status"] = ["KILLED", "RUNNING", "SCHEDULED", "KILLED", "FINISHED"]
    assert [row[1] for row in scores(runs)] == [0], "a killed run that has a score counts"


def test_a_seed_that_failed_once_counts_by_the_run_that_has_a_score() -> None:
    again = configuration([7.0], sweep="later", baseline="a")
    runs = joined(configuration([None, 3.0], baseline="a"), again, configuration([None], sweep="last", baseline="a"))
    runs["start"] += pd.to_timedelta(range(len(runs)), unit="h")
    assert scores(runs) == [("baseline=a", 1, 3, False), ("baseline=a", 0, 7, False)]


def test_of_one_seed_that_failed_twice_one_run_counts() -> None:
    runs = joined(configuration([None, 3.0], baseline="a"), configuration([None], sweep="later", baseline="a"))
    assert [row[1] for row in sorted(scores(runs))] == [0, 1]


def test_where_no_run_has_a_score_nothing_is_judged() -> None:
    assert judged(configuration([None, None], baseline="a")).empty
    assert judged(configuration([1.0], baseline="a").iloc[:0]).empty


def test_the_frame_is_left_as_it_was() -> None:
    runs = configuration([1.0, None], baseline="a")
    before = runs.copy()
    judged(runs)
    pd.testing.assert_frame_equal(runs, before)
    assert FINAL_RETURN in judged(runs)


def test_a_score_that_the_store_was_not_given_since_it_is_not_finite_is_a_failed_run() -> None:
    runs = configuration([1.0, None], baseline="a").assign(**{"final/episode_length_mean": 7.0})
    runs["status"] = "FINISHED"
    assert scores(runs)[1] == ("baseline=a", 1, 1, True)
