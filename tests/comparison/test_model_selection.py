"""Model selection, selection bias and fresh seeds."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from pgexp.comparison.model_selection import (
    BEST_COLUMNS,
    best_configurations,
    fresh_seed_notes,
    fresh_seeds,
    select,
    selecting_sweeps,
    selection_notes,
)
from pgexp.schema.errors import UserError
from tests.comparison.score_frames import configuration, joined
from tests.comparison.seed_frames import seed_runs


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


def test_best_mean_of_each_environment_is_selected() -> None:
    assert chosen(grid()) == [
        ("CartPole-v1", "", "baseline=value lr=0.1", 8.0),
        ("Pendulum-v1", "", "baseline=none lr=0.1", -3.0),
    ]


def test_selection_within_each_method() -> None:
    assert chosen(grid(), "baseline") == [
        ("CartPole-v1", "baseline=none", "baseline=none lr=0.2", 4.0),
        ("CartPole-v1", "baseline=value", "baseline=value lr=0.1", 8.0),
        ("Pendulum-v1", "baseline=none", "baseline=none lr=0.1", -3.0),
        ("Pendulum-v1", "baseline=value", "baseline=value lr=0.2", -4.5),
    ]
    assert len(chosen(grid(), "baseline", "lr")) == 8


def test_columns_of_a_selection() -> None:
    row = select(grid(), ["baseline"]).iloc[1]
    assert (row["n"], row["failed"], row["candidates"]) == (2, 0, 2)
    assert row["configuration"] == "CartPole-v1 baseline=value lr=0.1"
    assert row["run_id"] == "sweep CartPole-v1 baseline=value lr=0.1 0"


def test_failed_runs_count_in_a_selection() -> None:
    lucky = configuration([10.0, None, None], lr=1.0)  # 10, 2 and 2
    steady = configuration([5.0, 5.0, 6.0], lr=0.1)
    worst = configuration([2.0, 2.0, 2.0], lr=0.01)
    runs = joined(lucky, steady, worst)
    (row,) = select(runs).to_dict("records")
    assert (row["configuration_name"], row["score"]) == ("lr=0.1", pytest.approx(16 / 3))
    (note,) = selection_notes(runs, select(runs))
    assert note.startswith("2 of 9 runs failed")


@pytest.mark.parametrize(
    ("first", "second", "best"),
    [
        ([3.0, 3.0], [3.0, None], "lr=1"),
        ([3.0, None], [3.0, 3.0], "lr=2"),
        ([3.0], [3.0, 3.0], "lr=2"),
        ([3.0], [3.0], "lr=1"),
    ],
)
def test_ranking_of_equal_means(first: Sequence[float | None], second: Sequence[float | None], best: str) -> None:
    assert chosen(joined(configuration(first, lr=1), configuration(second, lr=2)))[0][2] == best


def test_no_selection_without_a_score() -> None:
    lacking = configuration([None], environment="Acrobot-v1", lr=1)
    runs = joined(configuration([1.0, 2.0], lr=1), lacking)
    assert [row[0] for row in chosen(runs)] == ["CartPole-v1"]
    assert any("No selection on Acrobot-v1" in note for note in selection_notes(runs, select(runs)))
    with pytest.raises(UserError, match="until the sweep has finished"):
        select(lacking)


def test_notes_on_unfinished_runs_and_unequal_seeds() -> None:
    runs = joined(configuration([1.0, 2.0, 3.0], lr=1), configuration([9.0, None, None], lr=2))
    runs.loc[runs.index[-2:], "status"] = ["RUNNING", "KILLED"]
    unfinished, sizes, single = selection_notes(runs, select(runs))
    assert unfinished.startswith("2 of 6 runs have not ended")
    assert "1 to 3 seeds" in sizes
    assert single.endswith("one seed: lr=2.")


def test_bias_of_a_selection() -> None:
    rows = select(joined(configuration([1.0, 5.0], m="a", lr=1), configuration([2.0, 3.0], m="b", lr=1)), ["m"])
    assert rows["bias"].tolist() == [0, 0], "one candidate has no bias"
    pair = select(joined(configuration([0.0, 2.0], lr=1), configuration([0.0, 2.0], [2, 3], lr=2)))["bias"].item()
    # Halves of two seeds: one seed selects, the other reports. If both zeros or both twos select, the first
    # configuration reports 2 or 0; otherwise a two selects and a zero reports: 1/2 on average, and the best mean is 1.
    assert pair == pytest.approx(0.5, abs=0.1)
    # With the same seeds, a seed that is good for both selects neither: the other half reports its mean on average.
    alike = select(joined(configuration([0.0, 2.0], lr=1), configuration([0.0, 2.0], lr=2)))["bias"].item()
    assert alike == pytest.approx(0, abs=0.12)
    assert np.isnan(select(joined(configuration([1.0], lr=1), configuration([2.0, 3.0], lr=2)))["bias"].item())


def test_fresh_seeds_are_unused() -> None:
    assert fresh_seeds(configuration([1.0, 2.0], lr=1), 3) == range(100, 103)
    assert fresh_seeds(configuration([1.0, None], [3, 204], lr=1), 3) == range(205, 208)


def test_notes_on_fresh_seeds() -> None:
    selecting = configuration([1.0, 2.0], sweep="old", lr=1)
    fresh = configuration([1.0, 2.0], [100, 101], sweep="new", lr=1).assign(selected_from="old")
    assert selecting_sweeps(fresh) == ["old"]
    assert fresh_seed_notes(fresh, selecting) == ["Selected by sweep old, reported on fresh seeds."]
    assert selecting_sweeps(selecting) == fresh_seed_notes(selecting, selecting) == []


def test_notes_on_seeds_that_are_not_fresh() -> None:
    selecting = configuration([1.0, 2.0], [100, 7], sweep="old", lr=1)
    fresh = configuration([1.0, 2.0], [100, 101], sweep="new", lr=1).assign(selected_from="old and older")
    assert selecting_sweeps(fresh) == ["old", "older"]
    first, used, others = fresh_seed_notes(joined(selecting, fresh), selecting)
    assert "sweep old and older" in first
    assert used.startswith("Not fresh: 1 of 2 runs, whose seeds (100)")
    assert others.startswith("2 of 4 runs")


@pytest.mark.slow
def test_fresh_seeds_are_unbiased() -> None:
    """300 selections among ten configurations with true scores 0 to .9, five seeds each of deviation 1.

    The fresh mean minus the true score has mean 0 and a deviation of 1 / sqrt(5 * 300) = .026 over the selections, so
    it exceeds .14 once in 1e7. The selecting seeds' mean is at least .3 too high: the deviation of a best mean is below
    .45, hence .026 for their average.
    """
    generator, truths = np.random.default_rng(11), np.arange(10) / 10
    scores = truths[:, None] + generator.normal(size=(300, 10, 5))
    rows = select(selection_runs(scores))
    best = rows["configuration_name"].astype(int).to_numpy()
    fresh = select(selection_runs(truths[best][:, None, None] + generator.normal(size=(300, 1, 5))))
    assert abs((fresh["score"] - truths[best]).mean()) < 0.14
    assert (rows["score"] - truths[best]).mean() > 0.3


def selection_runs(scores: NDArray[np.float64]) -> pd.DataFrame:
    """Return the runs of one selection per table of scores, each on its own environment."""
    trial, number, seed = (axis.ravel() for axis in np.indices(scores.shape))
    frame = configuration(scores.ravel().tolist(), seed.tolist(), lr=0)
    called = pd.DataFrame({"trial": trial, "number": number}).astype(str)
    names = {"environment": called["trial"], "configuration_name": called["number"]}
    return frame.assign(configuration=called["trial"] + " " + called["number"], **names)


def test_notes_on_unscored_and_repeated_runs() -> None:
    runs = joined(configuration([1.0, 2.0, None], lr=1), configuration([3.0, 4.0, 5.0], [0, 1, 1], lr=2))
    runs.loc[2, "status"] = "FINISHED"
    unscored, repeated = selection_notes(runs, select(runs))
    assert unscored.startswith("1 of 6 runs finished without a final evaluation")
    assert repeated.startswith("1 of 6 runs are repeated")


def test_best_configuration_with_its_standard_error() -> None:
    frame = best_configurations(seed_runs({"a": [1.0, 2.0, 3.0], "b": [2.0, 4.0, 6.0], "c": [4.0, 4.0, math.nan]}))
    assert tuple(frame.columns) == BEST_COLUMNS
    row = frame.iloc[0]
    assert row[["environment", "configurations", "configuration_name", "n", "mean"]].tolist() == [
        "CartPole-v1",
        3,
        "b",
        3,
        4,
    ]
    assert row["standard_error"] == pytest.approx(2 / math.sqrt(3))


@pytest.mark.slow
def test_bias_of_equal_configurations() -> None:
    """1.54 sigma / sqrt(n) for ten; the mean of 40 estimates is within 7 of its errors except in 2e-8 of cases."""
    generator = np.random.default_rng(0)
    found = [
        best_configurations(seed_runs({f"lr={k}": generator.normal(size=16).tolist() for k in range(10)}))["bias"].iloc[
            0
        ]
        for _ in range(40)
    ]
    error = np.std(found, ddof=1) / math.sqrt(40)
    assert error < 0.03
    assert np.mean(found) == pytest.approx(1.54 / math.sqrt(16), abs=7 * error)


def test_no_best_of_one_configuration() -> None:
    two = seed_runs({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    one = seed_runs({"c": [1.0, 2.0]}, environment="Acrobot-v1")
    frame = best_configurations(pd.concat([two, one], ignore_index=True))
    assert frame["environment"].tolist() == ["CartPole-v1"]
    assert best_configurations(one).empty


def test_no_bias_from_single_seeds() -> None:
    row = best_configurations(seed_runs({"a": [1.0], "b": [3.0]})).iloc[0]
    assert row[["standard_error", "bias"]].isna().all()
    assert row["mean"] == 3


def test_common_seed_effects_cause_no_bias() -> None:
    """Two configurations that differ by a constant are always ranked correctly, in any row order."""
    scores = [1.0, 5.0, 3.0, 2.0, 9.0]
    runs = seed_runs({"a": scores, "b": [score + 0.5 for score in scores]})
    # each half of b reports b's mean on average, within six times 2.8 / sqrt(2,000)
    assert best_configurations(runs)["bias"].iloc[0] == pytest.approx(0, abs=0.38)
    assert best_configurations(runs.sample(frac=1, random_state=1))["bias"].iloc[0] == pytest.approx(0, abs=0.38)
    other = pd.concat([runs.iloc[:5], seed_runs({"b": [score + 0.5 for score in scores]}, first=5)], ignore_index=True)
    assert best_configurations(other)["bias"].iloc[0] > 0.38, "different seeds may be lucky in one configuration"


def test_failed_runs_count_for_the_best() -> None:
    runs = seed_runs({"a": [9.0, 9.0, 9.0, math.nan], "b": [8.0, 8.0, 8.0, 8.0], "c": [1.0, 1.0, 1.0, 1.0]})
    runs.loc[runs["run_id"] == "a-3", "status"] = "FAILED"
    row = best_configurations(runs).iloc[0]
    assert (row["configuration_name"], row["mean"], row["n"]) == ("b", 8.0, 4)  # a: (3 * 9 + 1) / 4 = 7
