import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from pgexp.cli.compare import main
from pgexp.cli.selection import Selection
from pgexp.runs.manifest import RunEntry, SweepManifest, Tracking, save_manifest
from pgexp.schema.names import FINAL_RETURN, TAG_SELECTED_FROM
from pgexp.tracking.store import COMMAND_SETTINGS
from tests.comparison.recorded_store import RecordedStore
from tests.tiers import tiered

FILES = {"runs.csv", "metrics.parquet", "summary.csv"}
FIGURES = {"learning_curves.pdf", "learning_curves-narrow.png", "intervals.svg", "intervals.csv"}
WRITTEN = (
    *("runs.csv", "metrics.parquet", "figures/learning_curves.{png,svg,pdf,csv}"),
    "figures/intervals-narrow.{png,svg,pdf}",
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory. The command sets environment variables, which are restored after the test."""
    monkeypatch.chdir(tmp_path)
    for setting, value in COMMAND_SETTINGS.items():
        monkeypatch.setenv(setting, value)
    return tmp_path


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the figures, which take seconds and are drawn in one test."""
    monkeypatch.setattr("pgexp.comparison.comparison.write_figures", lambda comparison, folder: [])


@pytest.fixture
def store(undrawn: None, drawn: RecordedStore) -> RecordedStore:
    return drawn


@pytest.fixture
def drawn(fresh_store: Path, folder: Path) -> RecordedStore:
    """Two sweeps: an old one of one run, and a new one of two configurations with two seeds each."""
    store = RecordedStore(fresh_store, folder)
    store.sweep("0ld5eed")
    store.seed(0, 9.0, sweep="0ld5eed")
    store.sweep("abc123")
    for name, scores in {"baseline=none": (400, 420), "baseline=value": (490, 500)}.items():
        for seed, score in enumerate(scores):
            curve = {"steps": [100, 200], "evaluation/return_mean": [score / 2, score]}
            store.seed(seed, score, name=name, sweep="abc123", threshold=475, columns=curve)
    return store


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def error_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main([*arguments]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("pgexp-compare: ")
    assert captured.err.count("\n") == 1, "one sentence, no traceback"
    return captured.err


def test_newest_sweep_is_compared(drawn: RecordedStore, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    out = capsys.readouterr().out
    rows = {words[0]: words for words in (line.split() for line in out.splitlines()) if words[1:2] == ["2"]}
    # By Student's t with one degree of freedom: 410 -+ 12.706 x 10.
    assert rows["baseline=none"][1:5] == ["2", "410.0", "[282.9,", "537.1]"]
    assert rows["baseline=none"][-4:] == ["400.0", "420.0", ">200", "0/2"]
    assert rows["baseline=value"][-4:] == ["490.0", "500.0", "200", "2/2"]
    assert "95 % intervals over seeds" in out
    assert "Differences on CartPole-v1" in out
    assert all(f"\ncomparison/abc123/{name}\n" in out for name in WRITTEN)
    assert f"mlflow ui --backend-store-uri sqlite:///{folder}/mlflow.db " in out
    assert files(folder / "comparison" / "abc123") == FILES | {"differences.csv", "figures"}
    assert files(folder / "comparison" / "abc123" / "figures") > FIGURES


def test_files_contain_the_comparison(store: RecordedStore, folder: Path) -> None:
    assert main(["--out", "here/there"]) == 0
    runs, summary, differences = (
        pd.read_csv(folder / "here" / "there" / f"{name}.csv") for name in ("runs", "summary", "differences")
    )
    metrics = pd.read_parquet(folder / "here" / "there" / "metrics.parquet")
    assert runs[FINAL_RETURN].tolist() == [400, 420, 490, 500]
    assert runs["exclusion"].isna().all()
    assert metrics["value"].tolist() == [200, 400, 210, 420, 245, 490, 250, 500]
    assert summary[["n", "iqm", "reached"]].to_numpy().tolist() == [[2, 410, 0], [2, 495, 2]]
    assert differences["difference"].tolist() == [85]


def test_sweep_by_prefix_of_its_id(store: RecordedStore, folder: Path) -> None:
    assert main(["0ld", "--uri", store.uri]) == 0
    assert pd.read_csv(folder / "comparison" / "0ld5eed" / "summary.csv")["mean"].tolist() == [9]


def test_sweep_by_folder_in_another_store(store: RecordedStore, folder: Path) -> None:
    elsewhere = Path(shutil.move(folder / "mlflow.db", folder / "elsewhere.db"))
    record_sweep(folder / "multirun" / "today", "0ld5eed", f"sqlite:///{elsewhere}")
    assert main(["multirun/today"]) == 0
    assert files(folder / "comparison") == {"0ld5eed"}


def test_several_sweeps_are_joined(store: RecordedStore, folder: Path) -> None:
    record_sweep(folder / "multirun" / "today", "0ld5eed", store.uri)
    assert main(["abc", "multirun/today", "--reference", "baseline=none"]) == 0
    runs = pd.read_csv(folder / "comparison" / "abc123+1" / "runs.csv")
    assert sorted(runs["sweep"]) == ["0ld5eed", *["abc123"] * 4]


def test_folder_without_a_store_is_read(store: RecordedStore, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record_sweep(folder / "lost", "deadbeef", store.uri)
    record_sweep(folder / "moved", "f00d", f"sqlite:///{folder}/gone/mlflow.db")
    assert main(["lost"]) == 0
    out = capsys.readouterr().out
    assert "Excluded (not started): 1 of 1 run" in out
    assert "Read from lost" in out
    assert main(["lost", "moved"]) == 0
    assert {"deadbeef", "deadbeef+1"} == files(folder / "comparison")
    assert "moved is" not in capsys.readouterr().err
    assert "no such folder" in error_of(capsys, "lost", "abc123")
    assert "unknown sweep 'deadbeef'" in error_of(capsys, "lost", "--uri", store.uri)


def test_single_run_by_folder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record_sweep(folder / "outputs" / "first", None, "sqlite:///mlflow.db")
    assert main(["outputs/first"]) == 0
    assert files(folder / "comparison") == {"first"}
    assert "first is the folder of" in error_of(capsys, "outputs/first", "--uri", "sqlite:///mlflow.db")


def test_runs_by_id(store: RecordedStore, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--all"]) == 0
    ids = pd.read_csv(folder / "comparison" / "all" / "runs.csv")["run_id"].tolist()
    assert main(["--runs", ids[0], ids[3]]) == 0
    assert sorted(pd.read_csv(folder / "comparison" / "runs" / "runs.csv")["run_id"]) == sorted([ids[0], ids[3]])
    assert "0000" in error_of(capsys, "--runs", "0000")


@pytest.mark.slow
def test_all_compares_every_sweep(store: RecordedStore, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--all", "--experiment", "cartpole"]) == 0
    assert len(pd.read_csv(folder / "comparison" / "all" / "runs.csv")) == 5
    assert "repeated by a newer run with the same seed): 1 of 5 runs" in capsys.readouterr().out


def test_single_runs_without_a_sweep_are_compared(fresh_store: Path, folder: Path) -> None:
    RecordedStore(fresh_store, folder).seed(0, 7.0)
    assert main([]) == 0
    assert pd.read_csv(folder / "comparison" / "all" / "summary.csv")["iqm"].tolist() == [7]


@pytest.mark.slow
def test_threshold_option(store: RecordedStore, folder: Path) -> None:
    assert main(["--threshold", "205"]) == 0
    summary = pd.read_csv(folder / "comparison" / "abc123" / "summary.csv")
    assert summary["steps_to_threshold"].tolist() == [100, 100]
    assert summary["reached"].tolist() == [2, 2]


def test_report_is_written_and_logged(
    store: RecordedStore, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pgexp.comparison.report.report.draw_figures", lambda *_: [])
    assert main(["--report", "--question", "Is it <better>?", "--out", "here"]) == 0
    page = (folder / "here" / "report.html").read_text()
    assert "Is it &lt;better&gt;?" in page
    assert "pgexp-compare abc123 --report --question" in page, "of this sweep, when another is the newest"
    assert {"report.html", "summary.csv"} <= files(folder / "here")
    assert "summary.tex" in files(folder / "here" / "tables")
    out = capsys.readouterr().out
    assert "here/tables/summary.{md,tex}\n" in out
    assert out.rstrip().endswith("of the run of sweep abc123.")


def test_report_of_a_folder_is_not_logged(undrawn: None, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record_sweep(folder / "lost", "deadbeef", "sqlite:///gone.db")
    assert main(["lost", "--report"]) == 0
    assert "report.html" in files(folder / "comparison" / "deadbeef")
    assert "since no store has these runs." in capsys.readouterr().out


@pytest.mark.parametrize("which", tiered([["--all"], ["--runs"], ["0ld"]], lambda which: which == ["--all"]))
def test_report_is_logged_on_named_sweeps_only(
    which: list[str], store: RecordedStore, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pgexp.comparison.report.report.draw_figures", lambda *_: [])
    ids = [run.info.run_id for run in store.client.search_runs(["1"], "tags.`pgexp.sweep` = 'abc123'")]
    assert main([*which, *(ids[:1] if which == ["--runs"] else []), "--report"]) == 0
    printed = capsys.readouterr().out.rstrip().splitlines()[-1]
    assert printed.endswith("of the run of sweep 0ld5eed." if which == ["0ld"] else "newest by default.")


@pytest.mark.parametrize(
    ("code", "compared"), tiered([(0, True), (1, True), (2, False), (130, False)], lambda case: case[0] in (1, 2))
)
def test_fresh_seeds_are_compared_after_training(
    code: int, compared: bool, store: RecordedStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Selection and training are replaced by an existing sweep."""
    asked: list[object] = []

    def selection(*arguments: object) -> Selection:
        asked.extend(arguments[1:])
        return Selection(pd.DataFrame(), [], [], [folder / "fresh"])

    record_sweep(folder / "fresh", "0ld5eed", store.uri)
    monkeypatch.setattr("pgexp.cli.selection.make_selection", selection)
    monkeypatch.setattr("pgexp.cli.selection.print_selection", lambda *_: None)
    monkeypatch.setattr("pgexp.cli.selection.train", lambda *_: code)
    assert main(["abc", "--select", "--by", "baseline", "--by", "lr", "--seeds", "3", "--run"]) == code
    assert asked == [["abc123"], "sqlite:///mlflow.db", ["baseline", "lr"], 3]
    assert (folder / "comparison" / "0ld5eed" / "summary.csv").exists() is compared
    assert not (folder / "comparison" / "abc123").exists()


def test_select_without_run_trains_nothing(store: RecordedStore, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    printed: list[object] = []
    monkeypatch.setattr("pgexp.cli.selection.make_selection", lambda *_: Selection(pd.DataFrame(), [], [], []))
    monkeypatch.setattr("pgexp.cli.selection.print_selection", lambda selection, _: printed.append(selection))
    assert main(["--select"]) == 0
    assert len(printed) == 1
    assert not (folder / "comparison").exists()


def test_origin_of_a_selection_is_printed(
    store: RecordedStore, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store.sweep("f4e5")
    run = store.seed(100, 410.0, sweep="f4e5")
    store.client.set_tag(run, TAG_SELECTED_FROM, "abc123")
    assert main([]) == 0
    assert "Selected by sweep abc123, reported on fresh seeds." in capsys.readouterr().out


def test_excluded_runs_are_listed(store: RecordedStore, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store.seed(2, sweep="abc123", status="KILLED")
    store.seed(3, 410.0, sweep="abc123")
    assert main([]) == 0
    out = capsys.readouterr().out
    assert "Excluded (interrupted before the final evaluation): 1 of 6 runs (baseline=none seed 2)." in out
    assert "since metrics.parquet is missing" in out
    exclusions = pd.read_csv(folder / "comparison" / "abc123" / "runs.csv")["exclusion"].dropna().tolist()
    assert exclusions == ["interrupted before the final evaluation"]


def test_running_sweep_has_a_table_and_no_figure(
    fresh_store: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = RecordedStore(fresh_store, folder)
    store.sweep("abc123")
    store.seed(0, sweep="abc123", status="RUNNING")
    assert main([]) == 0
    assert "still running, or killed without a trace): 1 of 1 run" in capsys.readouterr().out
    assert files(folder / "comparison" / "abc123") == FILES


def test_reference_option(store: RecordedStore, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--reference", "baseline=value"]) == 0
    differences = pd.read_csv(folder / "comparison" / "abc123" / "differences.csv")
    assert differences[["configuration_name", "reference"]].to_numpy().tolist() == [["baseline=none", "baseline=value"]]
    assert "Did you mean baseline=value" in error_of(capsys, "--reference", "baseline=valu")


@pytest.mark.slow
def test_collapsed_option(store: RecordedStore, folder: Path) -> None:
    assert main(["--collapsed", "400"]) == 0
    assert pd.read_csv(folder / "comparison" / "abc123" / "summary.csv")["collapsed"].tolist() == [1, 0]


@pytest.mark.slow
def test_scale_averages_environments(store: RecordedStore, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for baseline, score in {"none": -100.0, "value": -80.0}.items():
        params = {"env.id": "Acrobot-v1", "baseline": baseline}
        store.seed(0, score, name=f"env=acrobot baseline={baseline}", sweep="abc123", params=params)
    (folder / "scale.csv").write_text("environment,low,high\nCartPole-v1,0,500\nAcrobot-v1,-500,0\n")
    assert main(["--scale", "scale.csv"]) == 0
    found = pd.read_csv(folder / "comparison" / "abc123" / "environments.csv")
    assert found["configuration_name"].tolist() == ["baseline=none", "baseline=value"]
    assert found["mean"].tolist() == pytest.approx([(0.82 + 0.8) / 2, (0.99 + 0.84) / 2])
    assert "cannot read gone.csv" in error_of(capsys, "--scale", "gone.csv")


@pytest.mark.slow
def test_configurations_without_a_curve_are_listed(store: RecordedStore, capsys: pytest.CaptureFixture[str]) -> None:
    store.seed(0, 1.0, name="short", sweep="abc123", columns={"steps": [1], "loss/policy": [0.0]})
    assert main([]) == 0
    assert "No learning curve of short" in capsys.readouterr().out


def test_missing_store_is_refused_and_not_created(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert f"no store at {folder}/mlflow.db" in error_of(capsys)
    assert files(folder) == set()


def test_store_without_runs_is_refused(fresh_store: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(fresh_store, folder)
    assert "has none yet" in error_of(capsys)


def test_unknown_sweep_is_refused_with_the_nearest(store: RecordedStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert "unknown sweep 'abd123'. Did you mean abc123" in error_of(capsys, "abd123")


def test_unknown_experiment_is_refused(store: RecordedStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert "The store has Default, cartpole" in error_of(capsys, "--experiment", "hopper")


def test_unreachable_server_is_refused(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.socket() as bound:  # bound but not listening: connections are refused, and the port stays reserved
        bound.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{bound.getsockname()[1]}"
        assert f"cannot read {uri}" in error_of(capsys, "--uri", uri)


def test_other_folder_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "empty").mkdir()
    assert "empty is not the folder of a sweep or a run" in error_of(capsys, "empty")
    assert "multirun/gone is not the folder of a sweep" in error_of(capsys, "multirun/gone")


def test_unwritable_folder_is_refused(store: RecordedStore, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "taken").write_text("a file")
    assert "cannot write taken (File exists)" in error_of(capsys, "--out", "taken")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--all", "abc123"],
        ["abc123", "--all"],
        ["--runs", "a", "--all"],
        ["--threshold", "high"],
        ["--nonsense", "5"],
        ["--question", "?"],
        ["--run"],
        ["--by", "lr"],
        ["--seeds", "3"],
        ["--select", "--seeds", "0"],
        ["--select", "--report"],
    ],
)
def test_usage_errors(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert "usage: pgexp-compare" in capsys.readouterr().err


def test_help_loads_nothing_heavy() -> None:
    heavy = ("torch", "mlflow", "pandas", "matplotlib", "scipy", "sqlalchemy", "numpy")
    script = (
        "import sys\nfrom pgexp.cli.compare import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        f"print('loaded:', [name for name in {heavy} if name in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert "usage: pgexp-compare" in out
    assert out.endswith("loaded: []\n")


@pytest.mark.slow
def test_compare_does_not_load_torch(store: RecordedStore) -> None:
    script = (
        "import sys\nfrom pgexp.cli.compare import main\nassert main(['0ld']) == 0\nassert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)


def record_sweep(folder: Path, sweep: str | None, uri: str) -> None:
    run = RunEntry("run", "record", "run", "key", "configuration", "name", 0, {"seed": 0}, {})
    save_manifest(SweepManifest(folder, sweep, "name", "pgexp -m", Tracking(uri, "cartpole", 100), (run,), {}))


def test_sweep_id_cannot_lead_out_of_the_folder(
    store: RecordedStore, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store.sweep("../../outside")
    store.seed(0, 9.0, sweep="../../outside")
    assert main([]) == 2
    assert "is not a folder's name" in capsys.readouterr().err
    assert main(["--out", "here"]) == 0
    assert not (folder / "comparison").exists()
