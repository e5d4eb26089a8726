"""Properties of every figure: size, text sizes, no overlaps, nothing cut off."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from pgexp.comparison.figures.baseline_study import draw_baseline_study
from pgexp.comparison.figures.curves import draw_curves
from pgexp.comparison.figures.differences import draw_differences
from pgexp.comparison.figures.intervals import draw_intervals
from pgexp.comparison.figures.profiles import draw_profiles
from pgexp.comparison.figures.sensitivity import draw_interaction, draw_sensitivity
from tests.comparison.figures import figure_frames

LONG = "baseline=value baseline.network.hidden=[64, 64] with_a $name_that$ is far too long for any line of a legend"
HARD = ("env=a " + LONG, "env=a baseline=none", *(f"env=a baseline=value lr={rate}" for rate in range(7)))
FIGURES: dict[str, tuple[Callable[..., Figure], Callable[[], pd.DataFrame]]] = {
    "curves, long names, many, huge": (draw_curves, lambda: figure_frames.curve(HARD, scale=1e6)),
    "curves, three environments, tiny": (
        draw_curves,
        lambda: pd.concat([figure_frames.curve(environment=name, scale=-1e-4) for name in ("A-v1", "B-v1", "C-v1")]),
    ),
    "intervals": (draw_intervals, figure_frames.summary),
    "intervals, a page": (
        draw_intervals,
        lambda: figure_frames.summary([f"lr={rate} hidden=[64, 64]" for rate in range(99)]),
    ),
    "intervals, long names": (draw_intervals, lambda: figure_frames.summary(HARD)),
    "differences": (draw_differences, lambda: figure_frames.differences(HARD)),
    "profiles": (draw_profiles, figure_frames.profile),
    "sensitivity": (
        draw_sensitivity,
        lambda: pd.concat(
            [figure_frames.sensitivities(), figure_frames.sensitivities(("leave_one_out", "none", "mean"), "baseline")]
        ),
    ),
    "interaction": (draw_interaction, figure_frames.interactions),
    "baseline study": (
        draw_baseline_study,
        lambda: pd.concat([figure_frames.study(environment=name) for name in ("A-v1", "B-v1")]),
    ),
}


BOTH = ("curves, long names, many, huge", "sensitivity", "interaction", "baseline study")
WIDE = ("curves, three environments, tiny", "intervals", "profiles")
WIDTHS = [(name, "two") for name in (*BOTH, *WIDE)] + [(name, "one") for name in FIGURES if name not in WIDE]
FAST = (("intervals", "two"), ("intervals, long names", "one"), ("differences", "one"), ("interaction", "two"))
CASES = [pytest.param(case, id=str(case), marks=() if case in FAST else pytest.mark.slow) for case in WIDTHS]


@pytest.fixture(scope="module", params=CASES)
def figure(request: pytest.FixtureRequest) -> Figure:
    name, width = request.param
    draw, frame = FIGURES[name]
    drawn = draw(frame(), width)
    drawn.draw_without_rendering()
    drawn.inches = {"one": 3.3, "two": 6.9}[width]
    return drawn


def test_figures_fit_a_column_and_a_page(figure: Any) -> None:
    assert figure.get_figwidth() == figure.inches
    assert figure.get_figheight() <= 9


def test_text_is_legible(figure: Figure) -> None:
    sizes = {text.get_fontsize() for text in figure.findobj(Text) if text.get_visible() and text.get_text()}
    assert min(sizes) >= 7
    assert max(sizes) <= 9


def test_nothing_is_cut_off(figure: Any) -> None:
    drawn = figure.get_tightbbox()
    assert drawn.x0 >= -0.01
    assert drawn.y0 >= -0.01
    assert drawn.x1 <= figure.get_figwidth() + 0.01
    assert drawn.y1 <= figure.get_figheight() + 0.01


def test_caption_legend_and_panels_do_not_overlap(figure: Any) -> None:
    panels = [ax.get_tightbbox() for ax in figure.axes]
    around = [part.get_window_extent() for part in (*figure.legends, figure._suptitle)]
    for place, box in enumerate(around):
        assert not any(box.overlaps(other) for other in (*around[:place], *panels))
    assert all(_are_separate(one, other) for place, one in enumerate(panels) for other in panels[:place])


def _are_separate(one: Any, other: Any) -> bool:
    """Return whether two boxes overlap by at most a pixel."""
    width = min(one.x1, other.x1) - max(one.x0, other.x0)
    height = min(one.y1, other.y1) - max(one.y0, other.y0)
    return bool(width <= 1 or height <= 1)


def test_tick_labels_do_not_overlap(figure: Figure) -> None:
    for ax in figure.axes:
        low, high = sorted(ax.get_xlim())
        labels = [
            label for label in ax.get_xticklabels() if low <= label.get_position()[0] <= high and label.get_text()
        ]
        boxes = [label.get_window_extent() for label in labels if label.get_rotation() == 0]
        assert all(one.x1 < other.x0 for one, other in pairwise(boxes)), labels


def test_panels_are_high_enough(figure: Figure) -> None:
    assert min(ax.get_window_extent().height / figure.dpi for ax in figure.axes) > 0.4
