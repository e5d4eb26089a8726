import math
from pathlib import Path

import matplotlib.figure
import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from pgexp.comparison import figure
from pgexp.comparison.figure import plot_curves, spread


def curves(names: list[str], environment: str = "CartPole-v1", threshold: float = 475) -> pd.DataFrame:
    steps = np.array([0, 25_000, 50_000])
    return pd.concat(
        pd.DataFrame(
            {
                "environment": environment,
                "configuration_name": name,
                "steps": steps,
                "n": 5,
                "iqm": steps / 100,
                "low": steps / 110,
                "high": steps / 90,
                "threshold": threshold,
            }
        )
        for name in names
    )


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[matplotlib.figure.Figure]:
    """The figures drawn, which are otherwise seen in files only."""
    figures: list[matplotlib.figure.Figure] = []
    save = figure._save

    def keep(drawing: matplotlib.figure.Figure, frame: pd.DataFrame, stem: Path) -> list[Path]:
        figures.append(drawing)
        return save(drawing, frame, stem)

    monkeypatch.setattr(figure, "_save", keep)
    return figures


def test_picture_drawing_and_numbers_are_written(tmp_path: Path) -> None:
    paths = plot_curves(curves(["a", "b"]), tmp_path / "curves.v1")
    assert [path.name for path in paths] == ["curves.v1.png", "curves.v1.svg", "curves.v1.csv"]
    assert paths[0].read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in paths[1].read_bytes()
    pd.testing.assert_frame_equal(pd.read_csv(paths[2]), curves(["a", "b"]).reset_index(drop=True), check_dtype=False)


def test_equal_numbers_give_equal_files(tmp_path: Path) -> None:
    one, two = (plot_curves(curves(["a", "b"]), tmp_path / name) for name in ("one", "two"))
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]


def test_every_line_and_the_threshold_are_named_outside_the_axes(
    tmp_path: Path, drawn: list[matplotlib.figure.Figure]
) -> None:
    plot_curves(curves(["a", "b", "c"]), tmp_path / "curves")
    (ax,) = drawn[0].axes
    beside = [child for child in ax.texts if isinstance(child, Text)]
    assert {text.get_text() for text in beside} == {"a", "b", "c", "threshold 475"}
    assert all(text.get_position()[0] > 1 for text in beside), "in units of the axes"
    assert ax.get_legend() is None
    heights = sorted(text.get_position()[1] for text in beside)
    assert np.diff(heights).min() > 0.04, "no label covers another, though the lines end together"


def test_axes_say_what_they_show(tmp_path: Path, drawn: list[matplotlib.figure.Figure]) -> None:
    plot_curves(curves(["a"]), tmp_path / "curves")
    (ax,) = drawn[0].axes
    drawn[0].canvas.draw()
    assert ax.get_xlabel() == "environment steps"
    assert ax.get_ylabel() == "evaluation return (undiscounted)"
    assert {label.get_text() for label in ax.get_xticklabels()} >= {"0", "20k", "50k"}
    assert ax.get_title(loc="left") == "CartPole-v1"
    assert ax.get_title(loc="right") == "IQM over 5 seeds, 95 % bootstrap band"


def test_every_environment_has_a_panel(tmp_path: Path, drawn: list[matplotlib.figure.Figure]) -> None:
    plot_curves(pd.concat([curves(["a"]), curves(["b"], "Acrobot-v1", math.nan)]), tmp_path / "curves")
    assert [ax.get_title(loc="left") for ax in drawn[0].axes] == ["CartPole-v1", "Acrobot-v1"]
    assert [text.get_text() for text in drawn[0].axes[1].texts] == ["b"], "no threshold is known"


def test_lines_differ_by_more_than_colour() -> None:
    labels = figure._draw(matplotlib.figure.Figure().subplots(), curves([f"number {i}" for i in range(28)]))[:28]
    assert len({(label.style["color"], label.style["linestyle"]) for label in labels}) == 28
    assert len({label.style["linestyle"] for label in labels[:4]}) == 4


def test_a_lone_evaluation_of_a_lone_seed_is_drawn(tmp_path: Path, drawn: list[matplotlib.figure.Figure]) -> None:
    frame = curves(["a"]).iloc[[1]].assign(n=1, low=math.nan, high=math.nan)
    plot_curves(frame, tmp_path / "curves")
    (ax,) = drawn[0].axes
    assert ax.get_lines()[0].get_marker() == "o"
    assert ax.get_title(loc="right") == "one seed"


@pytest.mark.parametrize(
    ("heights", "expected"),
    [
        ([0.1, 0.5, 0.9], [0.1, 0.5, 0.9]),  # far enough apart
        ([0.5, 0.5], [0.45, 0.55]),  # apart by the gap, around where they were
        ([0.55, 0.2, 0.5], [0.575, 0.2, 0.475]),  # in their order, whoever comes first
        ([1.0, 1.0], [0.9, 1.0]),  # not above the axes
        ([0.0, 0.0, 0.0], [0.0, 0.1, 0.2]),  # nor below
    ],
)
def test_labels_are_moved_apart_as_little_as_possible(heights: list[float], expected: list[float]) -> None:
    np.testing.assert_allclose(spread(np.array(heights), gap=0.1), expected, atol=1e-12)
