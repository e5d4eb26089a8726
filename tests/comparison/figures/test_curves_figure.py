"""Figures of learning curves."""

import math

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pgexp.comparison.figures.curves import draw_curves, draw_sample_efficiency, shown_curves
from pgexp.comparison.figures.style import MAX_LINES, MINUS
from tests.comparison.figures import figure_frames


def labelled(figure: Figure) -> dict[str, Line2D]:
    """Return the legend's handles by label."""
    legend = figure.legends[0]
    texts = [text.get_text() for text in legend.get_texts()]
    return dict(zip(texts, legend.get_lines(), strict=True))


def lines(figure: Figure, label: str, panel: int = 0) -> list[Line2D]:
    """Return the lines of a panel with the style of a label in the legend."""
    style = labelled(figure)[label]
    drawn = figure.axes[panel].get_lines()
    return [
        line
        for line in drawn
        if (line.get_color(), line.get_linestyle()) == (style.get_color(), style.get_linestyle())
        and len(line.get_xdata())
    ]


def test_lines_and_bands_show_the_frame() -> None:
    frame = figure_frames.curve()
    figure = draw_curves(frame)
    assert list(labelled(figure)) == ["none", "value", "threshold 475"]
    bands = [part for part in figure.axes[0].collections if isinstance(part, PolyCollection)]
    for label, band in zip(("none", "value"), bands, strict=True):
        own = frame[frame["configuration_name"] == f"baseline={label}"]
        (line,) = lines(figure, label)
        np.testing.assert_array_equal(line.get_xydata(), own[["steps", "iqm"]])
        corners = {tuple(corner) for corner in band.get_paths()[0].vertices}
        ends = {(steps, value) for end in ("low", "high") for steps, value in zip(own["steps"], own[end], strict=True)}
        assert corners == ends


def test_axes_are_labelled() -> None:
    figure = draw_curves(figure_frames.curve())
    (ax,) = figure.axes
    figure.draw_without_rendering()
    assert ax.get_title(loc="left") == "CartPole-v1"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("environment steps", "evaluation return")
    assert {label.get_text() for label in ax.get_xticklabels()} >= {"0", "20k", "40k"}
    assert figure.get_suptitle() == "IQM over 5 seeds; 95 % trimmed-mean t band"
    assert figure.legends[0].get_title().get_text() == "baseline"
    (limit,) = lines(figure, "threshold 475")
    assert set(limit.get_ydata()) == {475}


def test_a_bar_marks_the_end_of_a_seed() -> None:
    frame = figure_frames.curve(figure_frames.NAMES[:1]).assign(n=[5, 5, 3])
    figure = draw_curves(frame)
    (bar,) = [line for line in figure.axes[0].get_lines() if line.get_marker() == "|" and len(line.get_xdata())]
    np.testing.assert_array_equal(bar.get_xydata(), [[25_000, 250]])
    assert figure.get_suptitle() == "IQM over 3 to 5 seeds; 95 % trimmed-mean t band; bar: end of a seed"


def test_styles_are_equal_on_every_environment() -> None:
    one = figure_frames.curve(("env=a baseline=none", "env=a baseline=value"), "A-v1", threshold=1)
    other = figure_frames.curve(("env=b baseline=value", "env=b baseline=none"), "B-v1", threshold=math.nan)
    figure = draw_curves(pd.concat([one, other]))
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["A-v1", "B-v1"]
    assert list(labelled(figure)) == ["none", "value", "threshold 1"]
    for label, height in (("none", 1), ("value", 0)):  # of the first point on the second environment
        assert [line.get_ydata()[0] for line in lines(figure, label, panel=1)] == [height]
    assert len(figure.axes[1].get_lines()) == 4, "two lines, their bars (none), and no threshold"


def test_one_evaluation_of_one_seed_is_drawn() -> None:
    figure = draw_curves(figure_frames.curve(("a",)).iloc[[1]].assign(n=1, low=math.nan, high=math.nan))
    (ax,) = figure.axes
    (line,) = lines(figure, "a")
    assert line.get_marker() == "o"
    assert line.get_xydata().tolist() == [[25_000, 250]]
    assert ax.get_xlim()[1] > 25_000
    assert figure.get_suptitle() == "IQM over 1 seed"


def test_at_most_ten_configurations_are_drawn() -> None:
    names = [f"lr={rate}" for rate in range(MAX_LINES + 2)]
    frame = figure_frames.curve(names, threshold=math.nan)  # the later, the better
    frame.loc[frame["configuration_name"] == "lr=5", "iqm"] = [9e9, 9e9, -9e9]  # only the end counts
    figure = draw_curves(frame)
    assert list(labelled(figure)) == [str(rate) for rate in range(MAX_LINES + 2) if rate not in (0, 5)]
    note = "the 10 of 12 configurations with the best last IQM"
    assert figure.get_suptitle().replace("\n", " ").endswith(note)
    assert shown_curves(frame).note == note
    assert shown_curves(figure_frames.curve()).note == ""


def test_lines_differ_by_colour_and_dashes() -> None:
    figure = draw_curves(figure_frames.curve([f"lr={rate}" for rate in range(MAX_LINES)], threshold=math.nan))
    styles = {(line.get_color(), str(line._dash_pattern)) for line in labelled(figure).values()}
    assert len(styles) == MAX_LINES
    first = [str(line._dash_pattern) for line in labelled(figure).values()][:4]
    assert len(set(first)) == 4


def test_names_are_not_parsed_as_mathematics() -> None:
    figure = draw_curves(figure_frames.curve(("a $x_1$", "b_$"), threshold=math.nan), "one")
    figure.draw_without_rendering()
    assert list(labelled(figure)) == ["a $x_1$", "b_$"]
    assert not any(text.get_parse_math() for text in figure.legends[0].get_texts())


@pytest.mark.parametrize(
    ("scale", "expected"), [(1e6, {"200M", "400M"}), (1e-5, {"0.002", "0.004"}), (-1, {f"{MINUS}200", f"{MINUS}400"})]
)
def test_returns_have_short_numbers(scale: float, expected: set[str]) -> None:
    figure = draw_curves(figure_frames.curve(threshold=math.nan, scale=scale))
    figure.draw_without_rendering()
    assert {label.get_text() for label in figure.axes[0].get_yticklabels()} >= expected


def test_sample_efficiency_is_labelled() -> None:
    frame = figure_frames.curve(environment="2 environments", threshold=math.nan)
    figure = draw_sample_efficiency(frame)
    assert figure.axes[0].get_ylabel() == "normalised return"
    until = "up to the steps that all environments have"
    assert " ".join(figure.get_suptitle().split()) == f"IQM over 5 seeds; 95 % stratified bootstrap t band; {until}"
    np.testing.assert_array_equal(lines(figure, "value")[0].get_ydata(), [1, 251, 501])
