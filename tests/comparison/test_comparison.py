"""The comparison as a value, and its files."""

import math
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from pgexp.comparison.comparison import Comparison, compare, write_figures, write_frames
from pgexp.schema.errors import UserError
from tests.comparison.seed_frames import evaluations, seed_runs


def test_no_runs_are_rejected() -> None:
    with pytest.raises(UserError, match="none to compare yet"):
        compare(seed_runs({"a": [1.0]})[:0], evaluations({}))


def test_runs_have_their_exclusion_reason() -> None:
    runs = compare(seed_runs({"a": [1.0, math.nan]}), evaluations({})).runs
    assert runs["exclusion"].tolist() == ["", "finished without a final evaluation"]


def test_all_frames_use_the_same_options() -> None:
    runs = seed_runs({"a": [1.0, 2.0], "b": [3.0, 4.0], "c": [5.0, 6.0]}, threshold=475)
    curves = evaluations({"a-0": [(10, 1.0), (20, 3.0)], "b-0": [(10, 1.0)]})
    comparison = compare(runs, curves, threshold=2.5, collapsed=3.0, reference="b")
    assert comparison.summary["threshold"].unique().tolist() == [2.5]
    assert comparison.summary["reached"].tolist() == [1, 0, 0]
    assert comparison.curves["threshold"].unique().tolist() == [2.5]
    assert comparison.summary["collapsed"].tolist() == [2, 1, 0]
    assert comparison.differences["reference"].tolist() == ["b", "b"]
    assert comparison.best["configuration_name"].tolist() == ["c"]
    assert comparison.environments.empty
    assert (comparison.reference, comparison.sweeps) == ("b", ["abc123"])


def test_environments_are_averaged_with_the_scale() -> None:
    runs = [seed_runs({"env=cartpole": [100.0, 200.0]}), seed_runs({"env=acrobot": [-90.0, -80.0]}, environment="A")]
    scale = pd.DataFrame({"environment": ["CartPole-v1", "A"], "low": [0.0, -100.0], "high": [500.0, 0.0]})
    comparison = compare(pd.concat(runs, ignore_index=True), evaluations({}), scale=scale)
    assert comparison.environments["mean"].tolist() == pytest.approx([(0.3 + 0.15) / 2])


def test_notes_of_a_comparison() -> None:
    runs = seed_runs({"a": [1.0, 2.0, math.nan], "b": [3.0, 4.0, 5.0]})
    notes = " ".join(compare(runs, evaluations({"a-0": [(10, 1.0)], "a-1": [(20, 1.0)]})).notes)
    assert "1 of 6 runs (a seed 2)" in notes
    assert "No learning curve of" in notes
    assert "common seeds: b and a." in notes


def test_runs_without_a_sweep() -> None:
    assert compare(seed_runs({"a": [1.0]}).assign(sweep=None), evaluations({})).sweeps == []


CURVES = {"a-0": [(10, 1.0), (20, 2.0)], "a-1": [(10, 2.0), (20, 3.0)], "b-0": [(10, 3.0), (20, 4.0)]}


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return compare(seed_runs({"a": [2.0, 3.0], "b": [4.0, math.nan]}), evaluations(CURVES))


@pytest.fixture(scope="module")
def folder(comparison: Comparison, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("there") / "new"
    assert {*write_frames(comparison, folder)} == {path for path in folder.rglob("*") if path.is_file()}
    return folder


def test_frames_are_written_as_csv(comparison: Comparison, folder: Path) -> None:
    for name in ("runs", "summary", "differences"):
        found, expected = pd.read_csv(folder / f"{name}.csv"), getattr(comparison, name)
        assert found.columns.tolist() == expected.columns.tolist()
        assert len(found) == len(expected)
    assert pd.read_csv(folder / "summary.csv")["iqm"].tolist() == [2.5, 4]
    assert pd.read_csv(folder / "runs.csv")["exclusion"].dropna().tolist() == ["finished without a final evaluation"]


def test_metrics_are_written_as_parquet(comparison: Comparison, folder: Path) -> None:
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "metrics.parquet"), comparison.metrics)


@pytest.mark.slow
def test_curves_and_intervals_are_drawn(comparison: Comparison, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    assert {*write_figures(comparison, folder)} == {path for path in folder.rglob("*") if path.is_file()}
    drawn = {path.stem for path in (folder / "figures").glob("*.png")}
    assert {"learning_curves", "intervals"} <= drawn
    assert pd.read_csv(folder / "figures" / "learning_curves.csv")["iqm"].tolist() == [1.5, 2.5, 3, 4]


def test_empty_frames_are_not_written(tmp_path: Path) -> None:
    nothing = compare(seed_runs({"a": [math.nan]}), evaluations({}))
    assert len(write_frames(nothing, tmp_path)) == 3
    assert write_figures(nothing, tmp_path) == []
    assert {path.name for path in tmp_path.iterdir()} == {"runs.csv", "summary.csv", "metrics.parquet"}


@pytest.mark.parametrize("write", [write_frames, write_figures])
def test_an_unwritable_folder_is_rejected(
    write: Callable[[Comparison, Path], list[Path]], comparison: Comparison, tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(UserError, match=r"cannot write .*taken"):
        write(comparison, tmp_path / "taken")
