"""The figures of rows: intervals and differences."""

import math

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from pgexp.comparison.figures.differences import _p, draw_differences, shown_differences
from pgexp.comparison.figures.intervals import draw_intervals, shown_intervals
from pgexp.comparison.figures.style import MINUS
from pgexp.schema.names import FINAL_RETURN
from tests.comparison.figures import samples

SCORES = {"baseline=none": [1.0, 2.0, 4.0], "baseline=value": [12.0, 13.0]}


def marks(ax: Axes, marker: str) -> list[list[float]]:
    """The points (value, row) that bear a marker."""
    return [point.tolist() for line in ax.get_lines() if line.get_marker() == marker for point in line.get_xydata()]


def spans(ax: Axes) -> list[tuple[float, float]]:
    """The ends of the intervals that are drawn."""
    bars = [part for part in ax.collections if isinstance(part, LineCollection)]
    return [(segment[0, 0], segment[1, 0]) for bar in bars for segment in bar.get_segments()]


def rows(ax: Axes) -> list[str]:
    return [label.get_text() for label in ax.get_yticklabels()]


def test_estimates_intervals_and_seeds_are_the_frames() -> None:
    figure = draw_intervals(samples.summary(), runs=samples.runs(SCORES))
    (ax,) = figure.axes
    assert rows(ax) == ["none", "value"]
    assert ax.get_ylabel() == "baseline"
    assert ax.get_ylim() == (1.5, -0.5), "the first row at the top"
    assert marks(ax, "o") == [[0, -0.15], [10, 0.85]]
    assert marks(ax, "D") == [[-2, 0.15], [8, 1.15]]
    assert spans(ax) == [(-5, 7), (5, 17), (-7, 5), (3, 15)]
    ticks = [line.get_xydata().tolist() for line in ax.get_lines() if line.get_marker() == "|" and line.get_alpha()]
    assert ticks == [[[1, 0], [2, 0], [4, 0]], [[12, 1], [13, 1]]]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["IQM", "mean", "a seed"]
    assert figure.get_suptitle() == "5 seeds; 95 % intervals (IQM by trimmed t, mean by t)"


def test_only_counted_runs_are_ticks() -> None:
    runs = samples.runs(SCORES)
    runs.loc[0, ["status", FINAL_RETURN]] = ["FAILED", math.nan]
    (ax,) = draw_intervals(samples.summary(), runs=runs).axes
    ticks = [line.get_xdata().tolist() for line in ax.get_lines() if line.get_marker() == "|" and line.get_alpha()]
    assert ticks == [[2, 4], [12, 13]]


def test_a_configuration_without_a_score_keeps_its_row() -> None:
    frame = samples.summary()
    frame.loc[1, [name for name in frame if str(name).startswith(("iqm", "mean"))]] = math.nan
    frame["n"] = [5, 0]
    (ax,) = draw_intervals(frame).axes
    assert rows(ax) == ["none", "value"]
    assert [(text.get_text(), text.get_position()[1]) for text in ax.texts] == [("no final score", 1)]


def test_the_same_configurations_stand_side_by_side_in_two_columns() -> None:
    frame = pd.concat([samples.summary(environment=name) for name in ("A-v1", "B-v1")])
    wide, narrow = draw_intervals(frame, "two"), draw_intervals(frame, "one")
    assert [rows(ax) for ax in wide.axes] == [["none", "value"], ["", ""]]
    assert [rows(ax) for ax in narrow.axes] == [["none", "value"]] * 2
    assert [ax.get_title(loc="left") for ax in wide.axes] == ["A-v1", "B-v1"]


def test_of_more_rows_than_a_page_holds_the_best_are_drawn() -> None:
    frame = samples.summary([f"lr={rate}" for rate in range(99)])
    shown, note = shown_intervals(frame)
    assert shown["configuration_name"].tolist() == [f"lr={rate}" for rate in range(99 - len(shown), 99)]
    assert 20 < len(shown) < 35
    assert note == f"the {len(shown)} of 99 configurations with the best IQM"


def test_differences_stand_beside_no_difference_with_their_p() -> None:
    frame = samples.differences(("baseline=none", "baseline=mean", "baseline=value")).assign(p_holm=[0.0004, 0.05])
    figure = draw_differences(frame)
    (ax,) = figure.axes
    assert rows(ax) == [f"mean {MINUS} none", f"value {MINUS} none"]
    assert marks(ax, "o") == [[10, 0], [20, 1]]
    assert spans(ax) == [(6, 14), (16, 24)]
    assert [text.get_text() for text in ax.texts] == ["<.001", ".050"]
    fills = [line.get_markerfacecolor() for line in ax.get_lines() if line.get_marker() == "o"]
    assert fills[0] == "#0072B2"
    assert fills[1] == "white", ".05 is not below .05"
    zero = [line for line in ax.get_lines() if list(line.get_xdata()) == [0, 0]]
    assert len(zero) == 1
    assert ax.get_xlim()[0] < 0
    said = "difference of IQMs, paired by seed, 5 seeds; 95 % intervals; filled: p < .05 (Holm)"
    assert figure.get_suptitle() == said


@pytest.mark.parametrize(
    ("p", "expected"), [(0.0342, ".034"), (0.001, ".001"), (0.00099, "<.001"), (1, "1.000"), (math.nan, "")]
)
def test_p_is_written_as_papers_do(p: float, expected: str) -> None:
    assert _p(p) == expected


def test_of_many_pairs_those_with_the_least_p_are_drawn() -> None:
    frame = samples.differences([f"lr={rate}" for rate in range(100)])
    frame["p_holm"] = frame["p_holm"].to_numpy()[::-1]
    shown, note = shown_differences(frame)
    assert shown["configuration_name"].tolist() == [f"lr={rate}" for rate in range(100 - len(shown), 100)]
    assert note == f"the {len(shown)} of 99 pairs with the least p"
    assert shown_differences(samples.differences())[1] == ""


def test_a_difference_without_an_interval_is_a_mark_alone() -> None:
    frame = samples.differences().assign(low=math.nan, high=math.nan, p_holm=math.nan, paired=False)
    (ax,) = draw_differences(frame).axes
    assert marks(ax, "o") == [[10, 0]]
    assert np.diff(spans(ax)).tolist() == [[0]]
