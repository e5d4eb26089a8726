"""Figures of intervals and differences."""

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
from tests.comparison.figures import figure_frames

SCORES = {"baseline=none": [1.0, 2.0, 4.0], "baseline=value": [12.0, 13.0]}


def marks(ax: Axes, marker: str) -> list[list[float]]:
    """Return the points (value, row) with a marker."""
    return [point.tolist() for line in ax.get_lines() if line.get_marker() == marker for point in line.get_xydata()]


def spans(ax: Axes) -> list[tuple[float, float]]:
    """Return the ends of the drawn intervals."""
    bars = [part for part in ax.collections if isinstance(part, LineCollection)]
    return [(segment[0, 0], segment[1, 0]) for bar in bars for segment in bar.get_segments()]


def rows(ax: Axes) -> list[str]:
    return [label.get_text() for label in ax.get_yticklabels()]


def test_estimates_intervals_and_seeds_show_the_frame() -> None:
    figure = draw_intervals(figure_frames.summary(), runs=figure_frames.runs(SCORES))
    (ax,) = figure.axes
    assert rows(ax) == ["none", "value"]
    assert ax.get_ylabel() == "baseline"
    assert ax.get_ylim() == (1.5, -0.5), "the first row at the top"
    assert marks(ax, "o") == [[0, -0.15], [10, 0.85]]
    assert marks(ax, "D") == [[-2, 0.15], [8, 1.15]]
    assert spans(ax) == [(-5, 7), (5, 17), (-7, 5), (3, 15)]
    ticks = [line.get_xydata().tolist() for line in ax.get_lines() if line.get_marker() == "|" and line.get_alpha()]
    assert ticks == [[[1, 0], [2, 0], [4, 0]], [[12, 1], [13, 1]]]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["IQM", "mean", "one seed"]
    assert figure.get_suptitle() == "5 seeds; 95 % intervals (IQM by trimmed t, mean by t)"


def test_only_counted_runs_are_ticks() -> None:
    runs = figure_frames.runs(SCORES)
    runs.loc[0, ["status", FINAL_RETURN]] = ["FAILED", math.nan]
    (ax,) = draw_intervals(figure_frames.summary(), runs=runs).axes
    ticks = [line.get_xdata().tolist() for line in ax.get_lines() if line.get_marker() == "|" and line.get_alpha()]
    assert ticks == [[2, 4], [12, 13]]


def test_a_configuration_without_a_score_keeps_its_row() -> None:
    frame = figure_frames.summary()
    frame.loc[1, [name for name in frame if str(name).startswith(("iqm", "mean"))]] = math.nan
    frame["n"] = [5, 0]
    (ax,) = draw_intervals(frame).axes
    assert rows(ax) == ["none", "value"]
    assert [(text.get_text(), text.get_position()[1]) for text in ax.texts] == [("no final score", 1)]


def test_equal_rows_are_side_by_side_in_a_wide_figure() -> None:
    frame = pd.concat([figure_frames.summary(environment=name) for name in ("A-v1", "B-v1")])
    wide, narrow = draw_intervals(frame, "two"), draw_intervals(frame, "one")
    assert [rows(ax) for ax in wide.axes] == [["none", "value"], ["", ""]]
    assert [rows(ax) for ax in narrow.axes] == [["none", "value"]] * 2
    assert [ax.get_title(loc="left") for ax in wide.axes] == ["A-v1", "B-v1"]


def test_the_best_rows_of_many_are_drawn() -> None:
    frame = figure_frames.summary([f"lr={rate}" for rate in range(99)])
    shown, note = shown_intervals(frame)
    assert shown["configuration_name"].tolist() == [f"lr={rate}" for rate in range(99 - len(shown), 99)]
    assert 20 < len(shown) < 35
    assert note == f"the {len(shown)} of 99 configurations with the best IQM"


def test_differences_with_intervals_and_p() -> None:
    frame = figure_frames.differences(("baseline=none", "baseline=mean", "baseline=value")).assign(
        p_holm=[0.0004, 0.05]
    )
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
    caption = "difference of means, paired by seed, 5 seeds; 95 % intervals; filled: p < .05 (Holm)"
    assert figure.get_suptitle() == caption


@pytest.mark.parametrize(
    ("p", "expected"), [(0.0342, ".034"), (0.001, ".001"), (0.00099, "<.001"), (1, "1.000"), (math.nan, "")]
)
def test_p_values_are_short(p: float, expected: str) -> None:
    assert _p(p) == expected


def test_the_pairs_with_the_least_p_are_drawn() -> None:
    frame = figure_frames.differences([f"lr={rate}" for rate in range(100)])
    frame["p_holm"] = frame["p_holm"].to_numpy()[::-1]
    shown, note = shown_differences(frame)
    assert shown["configuration_name"].tolist() == [f"lr={rate}" for rate in range(100 - len(shown), 100)]
    assert note == f"the {len(shown)} of 99 pairs with the least p"
    assert shown_differences(figure_frames.differences())[1] == ""


def test_a_difference_without_an_interval() -> None:
    frame = figure_frames.differences().assign(low=math.nan, high=math.nan, p_holm=math.nan, paired=False)
    (ax,) = draw_differences(frame).axes
    assert marks(ax, "o") == [[10, 0]]
    assert np.diff(spans(ax)).tolist() == [[0]]
