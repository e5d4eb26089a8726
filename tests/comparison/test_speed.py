import math

import pytest

from pgexp.comparison.speed import COLUMNS, speed
from tests.comparison.by_hand import evaluations, seed_runs


def test_the_steps_to_the_threshold_are_the_median_over_seeds() -> None:
    runs = seed_runs({"a": [1.0, 2.0, 3.0], "b": [4.0]}, threshold=475)
    curves = evaluations(
        {
            "a-0": [(10, 400), (20, 480), (30, 300)],
            "a-1": [(10, 475), (20, 100), (30, 100)],
            "a-2": [(30, 500), (20, 474), (10, 0)],  # in any order
            "b-0": [(10, 0)],
        }
    )
    frame = speed(runs, curves)
    assert tuple(frame.columns) == COLUMNS
    a, b = frame.to_dict("records")
    assert (a["threshold"], a["steps_to_threshold"], a["reached"], a["watched"]) == (475, 20, 3, 3)
    assert (b["reached"], b["watched"], b["last_steps"]) == (0, 1, 10)
    assert math.isnan(b["steps_to_threshold"])


def test_seeds_that_never_got_there_are_censored_not_left_out() -> None:
    """Of four seeds two reach it; that half are on their way after 20 steps makes 20 the median, not 15."""
    runs = seed_runs({"a": [1.0, 2.0, 3.0, 4.0], "b": [1.0, 2.0, 3.0]}, threshold=475)
    reaching, never = [(10, 0), (20, 500)], [(10, 0), (20, 0), (40, 0)]
    curves = {"a-0": [(10, 500)], "a-1": reaching, "a-2": never, "a-3": never}
    curves |= {"b-0": reaching, "b-1": never, "b-2": never}
    a, b = speed(runs, evaluations(curves)).to_dict("records")
    assert (a["steps_to_threshold"], a["reached"], a["watched"]) == (20, 2, 4)
    assert (b["reached"], b["watched"], b["last_steps"]) == (1, 3, 40)
    assert math.isnan(b["steps_to_threshold"])


def test_a_failed_seed_never_gets_there() -> None:
    runs = seed_runs({"a": [1.0, 2.0, math.nan]}, threshold=475)
    runs.loc[2, "status"] = "FAILED"
    curves = evaluations({"a-0": [(10, 0), (20, 500)], "a-1": [(10, 0), (20, 0), (30, 500)], "a-2": [(10, 0)]})
    row = speed(runs, curves).iloc[0]
    # On the way: 3 until 20, where one arrives, 2 until 30, where another does. More than half have, then.
    assert (row["steps_to_threshold"], row["reached"], row["watched"]) == (30, 2, 3)


@pytest.mark.parametrize("how", ["failed", "failed before the first evaluation", "not finite"])
def test_where_most_seeds_fail_there_is_no_median(how: str) -> None:
    """Four of ten arrive, and six fail early: fewer than half come to it, so the median is beyond the last step."""
    runs = seed_runs({"a": [500.0] * 4 + [math.nan] * 6}, threshold=475)
    runs["final/episode_length"] = 1.0 if how == "not finite" else math.nan
    runs.loc[4:, "status"] = "FINISHED" if how == "not finite" else "FAILED"
    short = {"failed": [(10, 0)], "not finite": [(10, 0), (40, math.nan)]}.get(how, [])
    curves = {f"a-{seed}": [(10, 0), (40, 500)] if seed < 4 else short for seed in range(10)}
    row = speed(runs, evaluations(curves)).iloc[0]
    assert math.isnan(row["steps_to_threshold"])
    assert (row["reached"], row["watched"], row["last_steps"]) == (4, 10, 40)


def test_an_interrupted_seed_is_censored_where_it_stopped() -> None:
    runs = seed_runs({"a": [1.0, 2.0, math.nan]}, threshold=475)
    runs.loc[2, "status"] = "KILLED"
    curves = evaluations({"a-0": [(10, 0), (20, 500)], "a-1": [(10, 0), (20, 0), (30, 500)], "a-2": [(10, 0)]})
    row = speed(runs, curves).iloc[0]
    # On the way: 3 until 10, where one is lost sight of, then 2. Half of these arrive at 20.
    assert (row["steps_to_threshold"], row["reached"], row["watched"]) == (20, 2, 3)


def test_a_given_threshold_takes_the_environment_s_place() -> None:
    runs = seed_runs({"a": [1.0]}, threshold=475)
    row = speed(runs, evaluations({"a-0": [(10, 90), (20, 200)]}), threshold=100).iloc[0]
    assert (row["threshold"], row["steps_to_threshold"], row["reached"]) == (100, 20, 1)


def test_without_a_threshold_nothing_is_said_of_one() -> None:
    frame = speed(seed_runs({"a": [1.0, 2.0]}), evaluations({"a-0": [(10, 90)]}))
    assert frame[["threshold", "steps_to_threshold", "reached", "watched", "last_steps"]].isna().all(axis=None)


def test_without_evaluations_no_seed_is_watched() -> None:
    row = speed(seed_runs({"a": [1.0]}, threshold=475), evaluations({})).iloc[0]
    assert (row["reached"], row["watched"]) == (0, 0)
    assert math.isnan(row["last_steps"])


def test_the_area_is_of_the_range_that_all_seeds_of_the_environment_share() -> None:
    runs = seed_runs({"a": [1.0, 1.0], "b": [1.0]})
    curves = evaluations(
        {
            "a-0": [(0, 0), (10, 100), (20, 100)],  # from 5 to 15: (75 * 5 + 100 * 5) / 10 = 87.5
            "a-1": [(0, 50), (20, 50)],
            "b-0": [(5, 10), (15, 30)],
        }
    )
    a, b = speed(runs, curves).to_dict("records")
    assert (a["area_from"], a["area_to"]) == (5, 15)
    assert a["area"] == pytest.approx((87.5 + 50) / 2)
    assert b["area"] == pytest.approx(20)
    assert math.isnan(b["area_low"]), "one seed has no interval"


def test_an_area_in_another_environment_does_not_narrow_the_range() -> None:
    runs = seed_runs({"a": [1.0]})
    other = seed_runs({"b": [1.0]}, environment="Acrobot-v1")
    both = runs.merge(other, how="outer")
    curves = evaluations({"a-0": [(0, 0), (20, 100)], "b-0": [(5, 10), (15, 30)]})
    a = speed(both, curves).set_index("configuration_name").loc["a"]
    assert (a["area_from"], a["area_to"], a["area"]) == (0, 20, 50)


def test_seeds_that_share_no_range_have_no_area() -> None:
    runs = seed_runs({"a": [1.0, 1.0]})
    curves = evaluations({"a-0": [(0, 0), (10, 100)], "a-1": [(10, 0), (20, 0)]})
    assert math.isnan(speed(runs, curves)["area"].iloc[0])
