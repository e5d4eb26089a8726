import re
from pathlib import Path

import pandas as pd
import pytest

from pgexp.comparison.figures.curves import plot_curves
from tests.comparison.figures import samples


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The files of a figure."""
    return plot_curves(samples.curve(), tmp_path_factory.mktemp("one") / "curves.v1")


def test_pictures_drawings_and_numbers_are_written(saved: list[Path]) -> None:
    expected = [f"curves.v1{suffix}.{kind}" for suffix in ("", "-narrow") for kind in ("png", "svg", "pdf")]
    assert [path.name for path in saved] == [*expected, "curves.v1.csv"]
    pd.testing.assert_frame_equal(pd.read_csv(saved[-1]), samples.curve(), check_dtype=False)


@pytest.mark.slow
def test_equal_numbers_give_equal_files(saved: list[Path], tmp_path: Path) -> None:
    again = plot_curves(samples.curve(), tmp_path / "curves.v1")
    one, two = ([path.read_bytes() for path in paths] for paths in (saved, again))
    assert one == two
    assert not any(b"Date" in content for content in one[1:3]), "not even at another time"


@pytest.mark.parametrize(("place", "inches"), [(0, 6.9), (3, 3.3)])
def test_files_are_as_wide_as_a_column_or_two(saved: list[Path], place: int, inches: float) -> None:
    picture, drawing, document = (path.read_bytes() for path in saved[place : place + 3])
    assert int.from_bytes(picture[16:20], "big") == round(300 * inches)  # of the header of a PNG
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
