"""Figures of profiles, sensitivities, interactions and the baseline study."""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection, QuadMesh
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from pgexp.comparison.figures.baseline_study import draw_baseline_study, shown_study
from pgexp.comparison.figures.curves import draw_curves
from pgexp.comparison.figures.differences import draw_differences
from pgexp.comparison.figures.intervals import draw_intervals
from pgexp.comparison.figures.profiles import draw_profiles, shown_profiles
from pgexp.comparison.figures.sensitivity import draw_interaction, draw_sensitivity, is_geometric, score_cells
from tests.comparison.figures import figure_frames


def points(ax: Axes) -> list[list[list[float]]]:
    return [line.get_xydata().tolist() for line in ax.get_lines()]


def test_a_profile_is_a_step_function_with_its_band() -> None:
    frame = figure_frames.profile()
    figure = draw_profiles(frame)
    (ax,) = figure.axes
    for line, (_, own) in zip(ax.get_lines(), frame.groupby("configuration_name"), strict=True):
        np.testing.assert_array_equal(line.get_xydata(), own[["score", "share"]])
        assert line.get_drawstyle() == "steps-post", "the share holds until the next score"
    band = next(part for part in ax.collections if isinstance(part, PolyCollection))
    heights = set(band.get_paths()[0].vertices[:, 1])
    assert heights == set(frame[frame["configuration_name"] == "baseline=none"][["low", "high"]].to_numpy().ravel())
    assert figure.get_suptitle() == "2 to 4 runs per line; 95 % exact binomial band at each score"


def test_the_profiles_with_the_best_medians_are_drawn() -> None:
    frame = pd.concat([figure_frames.profile().assign(configuration_name=f"lr={n}", score=n) for n in range(12)])
    shown, note = shown_profiles(frame)
    assert shown["configuration_name"].unique().tolist() == [f"lr={n}" for n in range(2, 12)]
    assert note == "the 10 of 12 configurations with the best median"


def test_sensitivity_has_a_logarithmic_axis() -> None:
    figure = draw_sensitivity(figure_frames.sensitivities())
    (ax,) = figure.axes
    assert (ax.get_xscale(), ax.get_xlabel()) == ("log", "optimizer.lr")
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0.0001", "0.001", "0.01"]
    marginal, best = points(ax)
    assert marginal == [[1e-4, 100], [1e-3, 101], [1e-2, 102]]
    assert best == [[1e-4, 120], [1e-3, 121], [1e-2, 122]]
    band = next(part for part in ax.collections if isinstance(part, PolyCollection))
    assert set(band.get_paths()[0].vertices[:, 1]) == {95, 96, 97, 105, 106, 107}
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["mean over the other hyper-parameters", "others at their best (chosen on these seeds)"]


def test_one_kind_of_sensitivity_has_no_legend() -> None:
    frame = figure_frames.sensitivities()
    figure = draw_sensitivity(frame[frame["kind"] == "marginal"])
    assert figure.legends == []
    assert points(figure.axes[0]) == [[[1e-4, 100], [1e-3, 101], [1e-2, 102]]]


@pytest.mark.parametrize("values", [("none", "value"), (True, False)])
@pytest.mark.parametrize(("kinds", "aside"), [(["marginal"], 0), (["marginal", "best"], 0.1)])
def test_categories_are_not_joined_by_lines(values: tuple[object, ...], kinds: list[str], aside: float) -> None:
    frame = figure_frames.sensitivities(values, "baseline")
    (ax,) = draw_sensitivity(frame[frame["kind"].isin(kinds)]).axes
    assert [label.get_text() for label in ax.get_xticklabels()] == [str(value) for value in values]
    marginal = next(line for line in ax.get_lines() if line.get_marker() == "o")
    assert marginal.get_xydata().tolist() == [[-aside, 100], [1 - aside, 101]]
    assert all(line.get_linestyle() == "None" for line in ax.get_lines())


def test_panels_of_an_environment_share_the_score_axis() -> None:
    frame = pd.concat(
        [figure_frames.sensitivities(), figure_frames.sensitivities((1, 2), "batch").assign(score=9, low=8, high=10)]
    )
    one, other = draw_sensitivity(frame).axes
    assert one.get_ylim() == other.get_ylim()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2, 3], False),
        ([1e-4, 1e-3, 1e-2], True),
        ([1e-4, 3e-4, 1e-3], True),
        ([4, 8, 16, 32], True),
        ([0, 0.01, 0.1], False),  # 0 has no logarithm
        ([0.9, 0.99], False),
        ([0.01, 0.1], True),
        ([5], False),
    ],
)
def test_is_geometric(values: list[float], expected: bool) -> None:
    assert is_geometric(np.array(values, dtype=float)) is expected


def test_interaction_is_a_map_with_hatched_gaps() -> None:
    ax, _bar = draw_interaction(figure_frames.interactions()).axes
    mesh = next(part for part in ax.collections if isinstance(part, QuadMesh))
    shown = np.ma.filled(np.ma.asarray(mesh.get_array(), dtype=float), math.nan)
    np.testing.assert_array_equal(shown, [[0, 10, 20], [1, 11, math.nan]])
    texts = {(*text.get_position(), text.get_text()) for text in ax.texts}
    assert texts == {(0.5, 0.5, "0"), (1.5, 0.5, "10"), (2.5, 0.5, "20"), (0.5, 1.5, "1"), (1.5, 1.5, "11")}
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0.0001", "0.001", "0.01"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["none", "value"]
    gaps = [patch for patch in ax.patches if isinstance(patch, Rectangle)]
    assert [(patch.get_xy(), patch.get_hatch()) for patch in gaps] == [((2, 1), "////")]


def test_map_axes_are_sorted() -> None:
    table = score_cells(figure_frames.interactions().iloc[::-1])
    assert table.columns.tolist() == [1e-4, 1e-3, 1e-2]
    assert table.loc["none"].tolist() == [0, 10, 20]


def test_baseline_study_has_a_panel_per_quantity() -> None:
    frame = figure_frames.study()
    figure = draw_baseline_study(frame)
    labels = [ax.get_ylabel().replace("\n", " ") for ax in figure.axes]
    assert labels == ["return", "gradient variance", "signal to noise", "bias of the values"]
    assert [ax.get_yscale() for ax in figure.axes] == ["linear", "log", "linear", "linear"]
    assert len({ax.get_xlim() for ax in figure.axes}) == 1
    variance = points(figure.axes[1])
    assert variance == [[[100, 1], [200, 30], [300, 1000]], [[100, 2], [200, 31], [300, 1001]]]
    drawn = [line.get_ydata() for line in figure.axes[3].get_lines() if len(line.get_ydata())]
    assert [list(values) for values in drawn] == [[2, 31, 1001], [0, 0]], (
        "the baseline none has no bias; the second line is zero"
    )
    assert figure.get_suptitle() == "5 seeds; mean (geometric for variances), 95 % t band"
    assert len(figure.legends) == 1


def test_environments_are_side_by_side_in_wide_figures() -> None:
    frame = pd.concat([figure_frames.study(environment=name) for name in ("A-v1", "B-v1")])
    wide, narrow = (draw_baseline_study(frame, width) for width in ("two", "one"))
    assert {ax.get_subplotspec().get_gridspec().get_geometry() for ax in wide.axes} == {(4, 2)}
    assert {ax.get_subplotspec().get_gridspec().get_geometry() for ax in narrow.axes} == {(8, 1)}
    for figure in (wide, narrow):
        assert {ax.get_title(loc="left") for ax in figure.axes} == {"A-v1", "B-v1", ""}


def test_the_best_last_returns_are_studied() -> None:
    shown, note = shown_study(figure_frames.study([f"lr={n}" for n in range(12)]))
    assert shown["configuration_name"].unique().tolist() == [f"lr={n}" for n in range(2, 12)]
    assert note == "the 10 of 12 configurations with the best last return"


@pytest.mark.parametrize(
    ("draw", "frame"),
    [
        (draw_curves, figure_frames.curve()),
        (draw_intervals, figure_frames.summary()),
        (draw_differences, figure_frames.differences()),
        (draw_profiles, figure_frames.profile()),
        (draw_sensitivity, figure_frames.sensitivities()),
        (draw_interaction, figure_frames.interactions()),
        (draw_baseline_study, figure_frames.study()),
    ],
)
def test_empty_frames_are_rejected(draw: Callable[[pd.DataFrame], Figure], frame: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="needs a frame with rows"):
        draw(frame.iloc[:0])
