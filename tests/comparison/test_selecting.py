from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from pgexp.comparison.selecting import fresh_seeds, origin_notes, origins, select, selection_notes
from pgexp.comparison.store import ComparisonError
from tests.comparison.scored import configuration, joined


def chosen(runs: pd.DataFrame, *by: str) -> list[tuple[str, str, str, float]]:
    columns = ["environment", "method", "configuration_name", "score"]
    return list(select(runs, by)[columns].itertuples(index=False, name=None))


def grid() -> pd.DataFrame:
    scores = {
        ("none", 0.1): [1.0, 5.0],
        ("none", 0.2): [4.0, 4.0],
        ("value", 0.1): [9.0, 7.0],
        ("value", 0.2): [0.0, 9.0],
    }
    first = [configuration(each, baseline=name, lr=rate) for (name, rate), each in scores.items()]
    other = [
        configuration([-s for s in each], None, "Pendulum-v1", baseline=name, lr=rate)
        for (name, rate), each in scores.items()
    ]
    return joined(*first, *other)


def test_the_best_mean_of_each_environment_is_chosen() -> None:
    assert chosen(grid()) == [
        ("CartPole-v1", "", "baseline=value lr=0.1", 8.0),
        ("Pendulum-v1", "", "baseline=none lr=0.1", -3.0),
    ]


def test_within_each_method_the_rest_is_chosen() -> None:
    assert chosen(grid(), "baseline") == [
        ("CartPole-v1", "baseline=none", "baseline=none lr=0.2", 4.0),
        ("CartPole-v1", "baseline=value", "baseline=value lr=0.1", 8.0),
        ("Pendulum-v1", "baseline=none", "baseline=none lr=0.1", -3.0),
        ("Pendulum-v1", "baseline=value", "baseline=value lr=0.2", -4.5),
    ]
    assert len(chosen(grid(), "baseline", "lr")) == 8


def test_what_is_told_of_a_choice() -> None:
    row = select(grid(), ["baseline"]).iloc[1]
    assert (row["n"], row["failed"], row["candidates"]) == (2, 0, 2)
    assert row["configuration"] == "CartPole-v1 baseline=value lr=0.1"
    assert row["run_id"] == "sweep CartPole-v1 baseline=value lr=0.1 0"


def test_a_configuration_with_failed_runs_is_judged_with_them() -> None:
    lucky = configuration([10.0, None, None], lr=1.0)  # 10, 2 and 2
    steady = configuration([5.0, 5.0, 6.0], lr=0.1)
    worst = configuration([2.0, 2.0, 2.0], lr=0.01)
    runs = joined(lucky, steady, worst)
    (row,) = select(runs).to_dict("records")
    assert (row["configuration_name"], row["score"]) == ("lr=0.1", pytest.approx(16 / 3))
    assert selection_notes(runs, select(runs)) == [
        "2 of 9 runs failed, and are judged as the worst score of their environment."
    ]


@pytest.mark.parametrize(
    ("first", "second", "best"),
    [
        ([3.0, 3.0], [3.0, None], "lr=1"),
        ([3.0, None], [3.0, 3.0], "lr=2"),
        ([3.0], [3.0, 3.0], "lr=2"),
        ([3.0], [3.0], "lr=1"),
    ],
)
def test_of_equal_means_fewer_failures_count_then_more_seeds_then_the_order(
    first: Sequence[float | None], second: Sequence[float | None], best: str
) -> None:
    assert chosen(joined(configuration(first, lr=1), configuration(second, lr=2)))[0][2] == best


def test_nothing_is_chosen_where_there_is_no_score() -> None:
    lacking = configuration([None], environment="Acrobot-v1", lr=1)
    runs = joined(configuration([1.0, 2.0], lr=1), lacking)
    assert [row[0] for row in chosen(runs)] == ["CartPole-v1"]
    assert "Nothing is chosen on Acrobot-v1, where no run has a score." in selection_notes(runs, select(runs))
    with pytest.raises(ComparisonError, match="let the sweep finish"):
        select(lacking)


def test_notes_tell_of_runs_that_have_not_ended_and_of_unequal_seeds() -> None:
    runs = joined(configuration([1.0, 2.0, 3.0], lr=1), configuration([9.0, None, None], lr=2))
    runs.loc[runs.index[-2:], "status"] = ["RUNNING", "KILLED"]
    assert selection_notes(runs, select(runs)) == [
        "2 of 6 runs have not ended, and play no part in the choice.",
        "The configurations were judged by 1 to 3 seeds: fewer favour luck.",
        "Judged by a single seed: lr=2.",
    ]


def test_the_bias_is_that_of_the_best_of_the_methods_configurations() -> None:
    rows = select(joined(configuration([1.0, 5.0], m="a", lr=1), configuration([2.0, 3.0], m="b", lr=1)), ["m"])
    assert rows["bias"].tolist() == [0, 0], "the only one of its method was not chosen"
    pair = select(joined(configuration([0.0, 2.0], lr=1), configuration([0.0, 2.0], [2, 3], lr=2)))["bias"].item()
    # Halves of two seeds: the one seed chooses, the other reports. With both zeros, or both twos, in the choosing
    # halves the first is reported, at 2 or at 0; else the two chooses, and a zero reports: 1/2 on average, not 1.
    assert pair == pytest.approx(0.5, abs=0.1)
    # Of the same two seeds, one that is good by both chooses neither: its half reports either's mean on average.
    alike = select(joined(configuration([0.0, 2.0], lr=1), configuration([0.0, 2.0], lr=2)))["bias"].item()
    assert alike == pytest.approx(0, abs=0.12)
    assert np.isnan(select(joined(configuration([1.0], lr=1), configuration([2.0, 3.0], lr=2)))["bias"].item())


def test_fresh_seeds_are_none_that_a_run_has_had() -> None:
    assert fresh_seeds(configuration([1.0, 2.0], lr=1), 3) == range(100, 103)
    assert fresh_seeds(configuration([1.0, None], [3, 204], lr=1), 3) == range(205, 208)


def test_fresh_runs_say_which_sweep_chose_them() -> None:
    choosing = configuration([1.0, 2.0], sweep="old", lr=1)
    fresh = configuration([1.0, 2.0], [100, 101], sweep="new", lr=1).assign(selected_from="old")
    assert origins(fresh) == ["old"]
    assert origin_notes(fresh, choosing) == ["Chosen by sweep old, reported on fresh seeds."]
    assert origins(choosing) == origin_notes(choosing, choosing) == []


def test_seeds_that_were_there_to_choose_by_are_not_fresh() -> None:
    choosing = configuration([1.0, 2.0], [100, 7], sweep="old", lr=1)
    fresh = configuration([1.0, 2.0], [100, 101], sweep="new", lr=1).assign(selected_from="old and older")
    assert origins(fresh) == ["old", "older"]
    assert origin_notes(joined(choosing, fresh), choosing) == [
        "Chosen by sweep old and older, reported on fresh seeds.",
        "Not fresh are 1 of 2 runs, whose seeds (100) were there to choose by.",
        "2 of 4 runs are of sweeps that were not selected for; they may be what chose.",
    ]


@pytest.mark.slow
def test_fresh_seeds_report_without_bias_what_the_choosing_seeds_overstate() -> None:
    """Of 300 choices among ten configurations that are worth 0 to .9, five seeds each of deviation 1.

    A chosen one is worth mu; over the choices the fresh mean less mu has mean 0 and deviation 1 / sqrt(5 * 300) = .026,
    so that .14 is passed once in 1e7. What the choosing seeds say is .3 too high or more: with the deviation of a best
    mean below .45, hence .026 of their average, a lower one would be as rare.
    """
    generator, worth = np.random.default_rng(11), np.arange(10) / 10
    scores = worth[:, None] + generator.normal(size=(300, 10, 5))
    rows = select(tried(scores))
    best = rows["configuration_name"].astype(int).to_numpy()
    fresh = select(tried(worth[best][:, None, None] + generator.normal(size=(300, 1, 5))))
    assert abs((fresh["score"] - worth[best]).mean()) < 0.14
    assert (rows["score"] - worth[best]).mean() > 0.3


def tried(scores: NDArray[np.float64]) -> pd.DataFrame:
    """Return the runs of as many choices as there are tables of scores, each of an environment of its own."""
    trial, number, seed = (axis.ravel() for axis in np.indices(scores.shape))
    frame = configuration(scores.ravel().tolist(), seed.tolist(), lr=0)
    called = pd.DataFrame({"trial": trial, "number": number}).astype(str)
    names = {"environment": called["trial"], "configuration_name": called["number"]}
    return frame.assign(configuration=called["trial"] + " " + called["number"], **names)


def test_notes_tell_of_runs_that_finished_without_a_score_and_of_repeated_ones() -> None:
    runs = joined(configuration([1.0, 2.0, None], lr=1), configuration([3.0, 4.0, 5.0], [0, 1, 1], lr=2))
    runs.loc[2, "status"] = "FINISHED"
    assert selection_notes(runs, select(runs)) == [
        "1 of 6 runs finished without a final evaluation, and play no part in the choice.",
        "1 of 6 runs are repeated by newer ones of the same seed, which count.",
    ]
