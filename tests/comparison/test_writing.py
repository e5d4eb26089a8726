import math
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from pgexp.comparison.comparing import Comparison, compare
from pgexp.comparison.store import ComparisonError
from pgexp.comparison.writing import write_figures, write_frames
from tests.comparison.by_hand import evaluations, seed_runs

CURVES = {"a-0": [(10, 1.0), (20, 2.0)], "a-1": [(10, 2.0), (20, 3.0)], "b-0": [(10, 3.0), (20, 4.0)]}


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return compare(seed_runs({"a": [2.0, 3.0], "b": [4.0, math.nan]}), evaluations(CURVES))


@pytest.fixture(scope="module")
def folder(comparison: Comparison, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("there") / "new"
    assert {*write_frames(comparison, folder)} == {path for path in folder.rglob("*") if path.is_file()}
    return folder


def test_the_frames_are_written_as_they_are(comparison: Comparison, folder: Path) -> None:
    for name in ("runs", "summary", "differences"):
        found, expected = pd.read_csv(folder / f"{name}.csv"), getattr(comparison, name)
        assert found.columns.tolist() == expected.columns.tolist()
        assert len(found) == len(expected)
    assert pd.read_csv(folder / "summary.csv")["iqm"].tolist() == [2.5, 4]
    assert pd.read_csv(folder / "runs.csv")["left_out"].dropna().tolist() == ["finished without a final evaluation"]


def test_the_metrics_are_a_parquet_file(comparison: Comparison, folder: Path) -> None:
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "metrics.parquet"), comparison.metrics)


@pytest.mark.slow
def test_curves_and_intervals_are_drawn(comparison: Comparison, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    assert {*write_figures(comparison, folder)} == {path for path in folder.rglob("*") if path.is_file()}
    drawn = {path.stem for path in (folder / "figures").glob("*.png")}
    assert {"learning_curves", "intervals"} <= drawn
    assert pd.read_csv(folder / "figures" / "learning_curves.csv")["iqm"].tolist() == [1.5, 2.5, 3, 4]


def test_what_is_empty_is_not_written(tmp_path: Path) -> None:
    nothing = compare(seed_runs({"a": [math.nan]}), evaluations({}))
    assert len(write_frames(nothing, tmp_path)) == 3
    assert write_figures(nothing, tmp_path) == []
    assert {path.name for path in tmp_path.iterdir()} == {"runs.csv", "summary.csv", "metrics.parquet"}


@pytest.mark.parametrize("write", [write_frames, write_figures])
def test_a_folder_that_cannot_be_written_is_refused(
    write: Callable[[Comparison, Path], list[Path]], comparison: Comparison, tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(ComparisonError, match="taken can't be written"):
        write(comparison, tmp_path / "taken")
