"""Names, captions, ticks, axis limits and files of figures."""

import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pgexp.comparison.figures.curves import plot_curves
from pgexp.comparison.figures.layout import axis_limits
from pgexp.comparison.figures.style import MINUS, ShortNumbers, best_rows, count_text, short_names, wrap_name
from tests.comparison.figures import figure_frames


def named(*pairs: tuple[str, str]) -> pd.DataFrame:
    return pd.DataFrame(pairs, columns=["environment", "configuration_name"])


@pytest.mark.parametrize(
    ("names", "labels", "title"),
    [
        (["baseline=none", "baseline=value"], ["none", "value"], "baseline"),
        (["lr=1 b=[64, 64]", "lr=2 b=[64, 32]"], ["1, [64, 64]", "2, [64, 32]"], "lr, b"),
        (["lr=1 b=x", "lr=2 b=x"], ["1", "2"], "lr"),  # constant keys are left out
        (["b=none", "b=value b.lr=1", "b=value b.lr=2"], ["b=none", "b=value b.lr=1", "b=value b.lr=2"], ""),
        (["b=none"], ["b=none"], ""),
        (["CartPole none", "CartPole value"], ["CartPole none", "CartPole value"], ""),
    ],
)
def test_labels_contain_what_differs(names: list[str], labels: list[str], title: str) -> None:
    found = short_names(named(*(("A-v1", name) for name in names)))
    assert [found.labels[name] for name in names] == labels
    assert found.title == title


def test_labels_contain_no_environment_keys() -> None:
    pairs = [("A-v1", "env=a gain=1 b=x"), ("A-v1", "env=a gain=1 b=y"), ("B-v1", "env=b gain=2 b=x")]
    found = short_names(named(*pairs))
    assert list(found.labels.values()) == ["x", "y", "x"]
    assert found.title == "b"


def test_labels_of_environments_without_other_differences() -> None:
    found = short_names(named(("A-v1", "env=a"), ("B-v1", "env=b")))
    assert list(found.labels.values()) == ["env=a", "env=b"]


def test_categorical_names_are_accepted() -> None:
    frame = named(("A-v1", "b=x"), ("A-v1", "b=y")).astype("category")
    assert short_names(frame).of(frame).tolist() == ["x", "y"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("short", "short"),
        ("two words", "two\nwords"),
        ("abcdefghij", "abcdefg\nhij"),
        ("one two three four five", "one two\nthree\nfour…"),
        ("a" * 30, "aaaaaaa\naaaaaaa\naaaaaa…"),
    ],
)
def test_long_labels_have_at_most_three_lines(text: str, expected: str) -> None:
    assert wrap_name(text, 7) == expected


def test_best_rows_have_the_best_mean_rank() -> None:
    rows = [
        ("A-v1", "x", 3),
        ("A-v1", "y", 2),
        ("A-v1", "z", 1),
        ("B-v1", "x", 0),
        ("B-v1", "y", 900),
        ("B-v1", "z", 5),
    ]
    frame = pd.DataFrame(rows, columns=["environment", "label", "score"])
    # Mean ranks: x (1 + 3) / 2, y (2 + 1) / 2, z (3 + 2) / 2; by mean score z would come before x.
    shown, note = best_rows(frame, frame["label"], frame["score"], 2, "score")
    assert shown["label"].tolist() == ["x", "y", "x", "y"]
    assert note == "the 2 of 3 configurations with the best score"
    unknown = frame["score"].where(frame["label"] != "y")
    assert set(best_rows(frame, frame["label"], unknown, 2, "score").frame["label"]) == {"x", "z"}


@pytest.mark.parametrize(
    ("values", "low", "high", "expected"),
    [
        ([0, 10], [-1, 9], [1, 11], (-1, 11)),  # everything fits
        ([0, 10], [-500, 9], [500, 11], (-500, 500)),  # within the median width
        ([0, 10, 10], [-500, 9, 9], [500, 11, 11], (-10, 20)),  # cut at the range of the lines
        ([4, 4], [3, 3], [6, 6], (3, 6)),  # the lines have no range
        ([4, math.nan], [math.nan] * 2, [math.nan] * 2, (4, 4)),
    ],
)
def test_axis_limits(values: list[float], low: list[float], high: list[float], expected: tuple[float, float]) -> None:
    margin = 0.05 * (expected[1] - expected[0]) or 0.2
    np.testing.assert_allclose(axis_limits(values, low, high), (expected[0] - margin, expected[1] + margin))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 50_000, 1_250_000], ["0", "50k", "1.25M"]),
        ([-0.001, 0.001], [f"{MINUS}0.001", "0.001"]),
        ([1_000_001, 1_000_002], ["1,000,001", "1,000,002"]),
    ],
)
def test_ticks_are_as_short_as_possible(values: list[float], expected: list[str]) -> None:
    assert ShortNumbers().format_ticks(values) == expected


@pytest.mark.parametrize(
    ("numbers", "expected"), [([1], "1 seed"), ([5, 5], "5 seeds"), ([5, 3, 4], "3 to 5 seeds"), ([0], "0 seeds")]
)
def test_count_text(numbers: list[int], expected: str) -> None:
    assert count_text(numbers, "seed") == expected


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return the files of a figure."""
    return plot_curves(figure_frames.curve(), tmp_path_factory.mktemp("one") / "curves.v1")


def test_all_formats_and_the_frame_are_written(saved: list[Path]) -> None:
    expected = [f"curves.v1{suffix}.{kind}" for suffix in ("", "-narrow") for kind in ("png", "svg", "pdf")]
    assert [path.name for path in saved] == [*expected, "curves.v1.csv"]
    pd.testing.assert_frame_equal(pd.read_csv(saved[-1]), figure_frames.curve(), check_dtype=False)


@pytest.mark.slow
def test_equal_numbers_give_equal_files(saved: list[Path], tmp_path: Path) -> None:
    again = plot_curves(figure_frames.curve(), tmp_path / "curves.v1")
    one, two = ([path.read_bytes() for path in paths] for paths in (saved, again))
    assert one == two
    assert not any(b"Date" in content for content in one[1:3]), "files contain no date"


@pytest.mark.parametrize(("place", "inches"), [(0, 6.9), (3, 3.3)])
def test_files_have_the_width_of_one_or_two_columns(saved: list[Path], place: int, inches: float) -> None:
    picture, drawing, document = (path.read_bytes() for path in saved[place : place + 3])
    assert int.from_bytes(picture[16:20], "big") == round(300 * inches)  # from the header of the PNG
    width = re.search(rb'<svg[^>]* width="([\d.]+)pt"', drawing)
    assert width is not None
    assert float(width[1]) == pytest.approx(72 * inches)
    box = re.search(rb"/MediaBox \[ 0 0 ([\d.]+)", document)
    assert box is not None
    assert float(box[1]) == pytest.approx(72 * inches)


def test_fonts_are_embedded_as_truetype(saved: list[Path]) -> None:
    document = saved[2].read_bytes()
    assert b"/FontFile2" in document
    assert b"/Type3" not in document
