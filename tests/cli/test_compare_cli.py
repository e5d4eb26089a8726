import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from pgexp.cli.compare import MLFLOW_SETTINGS, main
from pgexp.schema.names import FINAL_RETURN
from pgexp.storage.record import Record, RunRecord, Tracking, write
from tests.comparison.recorded import Recorded, fresh_store

FILES = {"runs.csv", "metrics.csv", "summary.csv"}
CURVES = {"learning_curves.png", "learning_curves.svg", "learning_curves.csv"}


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fresh_store(tmp_path_factory.mktemp("fresh"))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of the command, which sets MLflow's environment for its whole process."""
    monkeypatch.chdir(tmp_path)
    for setting, value in MLFLOW_SETTINGS.items():
        monkeypatch.setenv(setting, value)
    return tmp_path


@pytest.fixture
def store(fresh: Path, folder: Path) -> Recorded:
    """Two sweeps: an old one of one run, and a new one of two configurations with two seeds each."""
    store = Recorded(fresh, folder)
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


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main([*arguments]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("pgexp-compare: ")
    assert captured.err.count("\n") == 1, "one sentence, no traceback"
    return captured.err


def test_the_newest_sweep_is_compared(store: Recorded, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    out = capsys.readouterr().out
    lines = [line.split() for line in out.splitlines()]
    assert ["baseline=none", "2", "410.0", "[400.0,", "420.0]", "410.0", "400.0", "420.0", "-", "0/2"] in lines
    assert ["baseline=value", "2", "495.0", "[490.0,", "500.0]", "495.0", "490.0", "500.0", "200", "2/2"] in lines
    assert "95 % percentile bootstrap over seeds" in out
    assert all(f"comparison/abc123/{name}\n" in out for name in FILES | CURVES)
    assert f"mlflow ui --backend-store-uri sqlite:///{folder}/mlflow.db " in out
    assert files(folder / "comparison" / "abc123") == FILES | CURVES


def test_the_files_hold_what_was_compared(store: Recorded, folder: Path) -> None:
    assert main(["--out", "here/there"]) == 0
    runs, metrics, summary = (
        pd.read_csv(folder / "here" / "there" / f"{name}.csv") for name in ("runs", "metrics", "summary")
    )
    assert runs[FINAL_RETURN].tolist() == [400, 420, 490, 500]
    assert runs["left_out"].isna().all()
    assert metrics["value"].tolist() == [200, 400, 210, 420, 245, 490, 250, 500]
    assert summary[["n", "iqm", "reached"]].to_numpy().tolist() == [[2, 410, 0], [2, 495, 2]]


def test_a_sweep_is_named_by_the_beginning_of_its_id(store: Recorded, folder: Path) -> None:
    assert main(["0ld", "--uri", store.uri]) == 0
    assert pd.read_csv(folder / "comparison" / "0ld5eed" / "summary.csv")["mean"].tolist() == [9]


def test_a_sweep_is_named_by_its_folder_wherever_it_is_tracked(store: Recorded, folder: Path) -> None:
    elsewhere = Path(shutil.move(folder / "mlflow.db", folder / "elsewhere.db"))
    record_sweep(folder / "multirun" / "today", "0ld5eed", f"sqlite:///{elsewhere}")
    assert main(["multirun/today"]) == 0
    assert files(folder / "comparison") == {"0ld5eed"}


def test_all_compares_the_runs_of_every_sweep(
    store: Recorded, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--all", "--experiment", "cartpole"]) == 0
    assert len(pd.read_csv(folder / "comparison" / "all" / "runs.csv")) == 5
    assert "repeated by a newer run of the same seed: 1 of 5 runs" in capsys.readouterr().out


def test_single_runs_are_compared_where_there_is_no_sweep(fresh: Path, folder: Path) -> None:
    Recorded(fresh, folder).seed(0, 7.0)
    assert main([]) == 0
    assert pd.read_csv(folder / "comparison" / "all" / "summary.csv")["iqm"].tolist() == [7]


def test_a_threshold_can_be_given(store: Recorded, folder: Path) -> None:
    assert main(["--threshold", "205"]) == 0
    summary = pd.read_csv(folder / "comparison" / "abc123" / "summary.csv")
    assert summary["steps_to_threshold"].tolist() == [150, 100]
    assert summary["reached"].tolist() == [2, 2]


def test_what_is_left_out_is_said(store: Recorded, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store.seed(2, sweep="abc123", status="KILLED")
    store.seed(3, 410.0, sweep="abc123")
    assert main([]) == 0
    out = capsys.readouterr().out
    assert "Left out as interrupted before the final evaluation: 1 of 6 runs (baseline=none seed 2)." in out
    assert "Without metrics.parquet" in out
    left_out = pd.read_csv(folder / "comparison" / "abc123" / "runs.csv")["left_out"].dropna().tolist()
    assert left_out == ["interrupted before the final evaluation"]


def test_a_sweep_that_is_still_running_has_a_table_and_no_figure(
    fresh: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Recorded(fresh, folder)
    store.sweep("abc123")
    store.seed(0, sweep="abc123", status="RUNNING")
    assert main([]) == 0
    assert "still running, or killed outright: 1 of 1 runs" in capsys.readouterr().out
    assert files(folder / "comparison" / "abc123") == FILES


def test_configurations_without_a_curve_are_named(store: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    store.seed(0, 1.0, name="short", sweep="abc123", columns={"steps": [1], "loss/policy": [0.0]})
    assert main([]) == 0
    assert "No learning curve of short" in capsys.readouterr().out


def test_a_missing_store_is_refused_and_not_created(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert f"there is no store at {folder}/mlflow.db" in refusal(capsys)
    assert files(folder) == set()


def test_a_store_without_runs_is_refused(fresh: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(fresh, folder)
    assert "holds no runs to compare yet; train some, for example: pgexp -m" in refusal(capsys)


def test_an_unknown_sweep_is_refused_with_the_nearest(store: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    assert "there is no sweep 'abd123': the nearest here are abc123" in refusal(capsys, "abd123")


def test_an_unknown_experiment_is_refused(store: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    assert "name one of Default, cartpole" in refusal(capsys, "--experiment", "hopper")


def test_an_unreachable_server_is_refused(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.socket() as bound:  # bound but not listening: nobody answers at this port, nor takes it meanwhile
        bound.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{bound.getsockname()[1]}"
        assert f"{uri} can't be read: is it up?" in refusal(capsys, "--uri", uri)


def test_a_folder_that_is_no_sweeps_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "empty").mkdir()
    assert "empty is no sweep's folder" in refusal(capsys, "empty")
    assert "multirun/gone is no sweep's folder" in refusal(capsys, "multirun/gone")
    record_sweep(folder / "single", None, "sqlite:///mlflow.db")
    assert "single is the folder of a single run: name a sweep's, or use --all" in refusal(capsys, "single")


def test_a_folder_that_cannot_be_written_is_refused(
    store: Recorded, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "taken").write_text("a file")
    assert "taken can't be written (File exists): choose another with --out" in refusal(capsys, "--out", "taken")


@pytest.mark.parametrize("arguments", [["--all", "abc123"], ["--threshold", "high"], ["--seeds", "5"]])
def test_a_usage_error_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
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


def test_comparing_never_loads_torch(store: Recorded) -> None:
    script = "import sys\nfrom pgexp.cli.compare import main\nassert main([]) == 0\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)


def record_sweep(folder: Path, sweep: str | None, uri: str) -> None:
    run = RunRecord("run", "record", "run", "key", "configuration", "name", 0, {}, {})
    write(Record(folder, sweep, "name", "pgexp -m", Tracking(uri, "cartpole", 100), (run,), {}))


def test_a_sweep_s_id_leads_no_comparison_out_of_its_folder(
    store: Recorded, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store.sweep("../../outside")
    store.seed(0, 9.0, sweep="../../outside")
    assert main([]) == 2
    assert "no name of a folder" in capsys.readouterr().err
    assert main(["--out", "here"]) == 0
    assert not (folder / "comparison").exists()
