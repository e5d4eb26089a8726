from pathlib import Path

import pytest

from pgexp.comparison.report.recording import log_report
from pgexp.comparison.store import ComparisonError
from pgexp.storage.mlflow_comparison import sweep_run
from tests.comparison.recorded import Recorded
from tests.comparison.report.made import comparison

NAMES = ("report.html", "summary.csv", "metrics.parquet")


@pytest.fixture
def report(tmp_path: Path) -> Path:
    folder = tmp_path / "report"
    folder.mkdir()
    for name in NAMES:
        (folder / name).write_text(f"first {name}")
    return folder


def logged(store: Recorded, sweep: str) -> dict[str, str]:
    """Return the texts of a sweep's artifacts below comparison/, by name, as MLflow's client has them."""
    run = sweep_run(store.client, sweep)
    assert run is not None
    paths = [artifact.path for artifact in store.client.list_artifacts(run.info.run_id, "comparison")]
    return {path: Path(store.client.download_artifacts(run.info.run_id, path)).read_text() for path in paths}


@pytest.mark.parametrize("is_local", [True, False])
def test_a_report_is_logged_on_its_sweeps_and_replaces_the_one_before(
    store: Recorded, report: Path, monkeypatch: pytest.MonkeyPatch, is_local: bool
) -> None:
    if not is_local:  # through MLflow's client, as for artifacts on another machine
        monkeypatch.setattr("pgexp.storage.mlflow_comparison.local_folder", lambda _: None)
    for sweep in ("s1", "s2", "other"):
        store.sweep(sweep)
    made = comparison(uri=store.uri, sweeps=["s1", "s2", "other"])
    told = log_report(made, ["s1", "s2"], report, [report / name for name in NAMES])
    assert told == "Logged as artifacts below comparison/ of the run of sweep s1, s2."
    first = {f"comparison/{name}": f"first {name}" for name in NAMES[:2]}
    assert logged(store, "s1") == logged(store, "s2") == first
    assert logged(store, "other") == {}
    (report / "report.html").write_text("second")
    log_report(made, ["s1", "s2"], report, [report / "report.html"])
    assert logged(store, "s1") == {"comparison/report.html": "second"}


def test_a_sweep_that_the_store_has_not_is_told(store: Recorded, report: Path) -> None:
    store.sweep("s1")
    told = log_report(comparison(uri=store.uri), ["s1", "gone"], report, [report / "report.html"])
    assert told == (
        "Logged as artifacts below comparison/ of the run of sweep s1. "
        "Not logged for sweep gone: the store has no run of it."
    )


def test_a_report_of_no_named_sweep_or_of_no_store_is_not_logged(report: Path) -> None:
    told = log_report(comparison(), [], report, [report / "report.html"])
    assert (
        told == "The report is not logged in MLflow: only a sweep that is named, or the newest by default, holds one."
    )
    told = log_report(comparison(uri=""), ["s1"], report, [report / "report.html"])
    assert told == "The report is not logged in MLflow: no store knows these runs."


def test_folders_of_a_report_are_folders_of_artifacts(store: Recorded, report: Path) -> None:
    store.sweep("s1")
    (report / "figures").mkdir()
    (report / "figures" / "a.csv").write_text("drawn")
    log_report(comparison(uri=store.uri), ["s1"], report, [report / "report.html", report / "figures" / "a.csv"])
    run = sweep_run(store.client, "s1")
    assert run is not None
    copy = store.client.download_artifacts(run.info.run_id, "comparison/figures/a.csv")
    assert Path(copy).read_text() == "drawn"


def test_a_store_that_cannot_be_written_is_told_in_a_sentence(
    store: Recorded, report: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.sweep("s1")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pgexp.storage.mlflow_comparison.place", full)
    with pytest.raises(ComparisonError, match=r"^the report stands in .*, but can't be logged: .*No space left"):
        log_report(comparison(uri=store.uri), ["s1"], report, [report / "report.html"])
    assert (report / "report.html").read_text() == "first report.html"
