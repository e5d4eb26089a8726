"""pgexp-sync: copied runs, output and errors."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pgexp.cli.sync import main
from pgexp.runs.manifest import RunEntry, SweepManifest, Tracking, save_manifest
from pgexp.runs.run_log import Phase, Row, RunLogWriter, RunState
from pgexp.tracking import sync
from tests.cli.lock_holder import holder
from tests.cli.mlflow_store import Store


@pytest.fixture
def recorded(workplace: Callable[[], Path], monkeypatch: pytest.MonkeyPatch) -> Callable[..., SweepManifest]:
    """Return a function that writes a sweep of two seeds with two rows each, one of them ended. Its store is empty."""
    folder = workplace()
    for setting in ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_LOGGING_LEVEL", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"):
        monkeypatch.setenv(setting, "")  # the command sets it; it is restored after the test
    monkeypatch.setattr(sync, "_PAUSES", (0.0, 0.0))

    def made(name: str = "first", uri: str = f"sqlite:///{folder}/mlflow.db") -> SweepManifest:
        runs = tuple(
            RunEntry(str(seed), f"{name}-{seed}", f"{name} seed={seed}", "key", "configuration", name, seed, {}, {})
            for seed in (0, 1)
        )
        record = SweepManifest(
            folder / "multirun" / name, name, f"sweep {name}", "", Tracking(uri, "pgexp", 9), runs, {}
        )
        save_manifest(record)
        logs = [RunLogWriter(record.folder_of(run) / "rows.jsonl") for run in runs]
        for log in logs:
            for steps in (10, 20):
                log.append(Row(steps, steps / 20, steps, {"evaluation/return_mean": 0.5 * steps}, Phase.EVALUATION))
        logs[0].end(RunState.FINISHED, complete=True)
        return record

    return made


def test_sync_copies_a_sweep_and_marks_killed_runs(
    recorded: Callable[..., SweepManifest], capsys: pytest.CaptureFixture[str]
) -> None:
    record = recorded()
    assert main([str(record.folder)]) == 0
    where = f"{record.tracking.uri}, experiment pgexp"
    assert capsys.readouterr() == (f"{record.folder}: 2 runs, 4 rows in {where}\n", "")
    store = Store(record.folder.parents[1])
    assert store.statuses == {
        "sweep first": "KILLED",
        "first": "KILLED",
        "first seed=0": "FINISHED",
        "first seed=1": "KILLED",
    }
    assert store.history("first seed=1", "evaluation/return_mean") == [(10, 5.0), (20, 10.0)]


def test_manifests_below_a_folder_and_above_a_run(
    recorded: Callable[..., SweepManifest], capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = recorded("first"), recorded("second")
    multirun = first.folder.parent
    assert main([str(first.folder / "1"), str(multirun)]) == 0
    expected = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in expected] == [str(first.folder), str(second.folder)]
    assert Store(multirun.parent).statuses.keys() >= {"first seed=1", "second seed=1"}


@pytest.mark.parametrize("where", [".", "1"])
def test_run_in_training_is_left_to_its_exporter(
    recorded: Callable[..., SweepManifest], capsys: pytest.CaptureFixture[str], where: str
) -> None:
    record = recorded()
    with holder(record.folder / where / ".lock", record.folder / ".exporter.lock") as process:
        assert main([str(record.folder)]) == 0
    assert f": left to process {process.pid}, which still trains and records in " in capsys.readouterr().out


def test_run_in_training_with_a_dead_exporter_is_copied(
    recorded: Callable[..., SweepManifest], capsys: pytest.CaptureFixture[str]
) -> None:
    record = recorded()
    with holder(record.folder / ".lock") as process:
        assert main([str(record.folder)]) == 0
    assert f": 4 rows so far (process {process.pid} still trains) in " in capsys.readouterr().out
    assert Store(record.folder.parents[1]).statuses["first seed=1"] == "RUNNING"


@pytest.mark.slow
def test_sync_waits_for_a_finishing_exporter(recorded: Callable[..., SweepManifest]) -> None:
    record = recorded()
    code = "import sys; from pgexp.cli.sync import main; sys.exit(main(sys.argv[1:]))"
    with holder(record.folder / ".exporter.lock") as process:
        command = [sys.executable, "-c", code, str(record.folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as syncing_process:
            with pytest.raises(subprocess.TimeoutExpired):
                syncing_process.wait(2)
            process.kill()
            out, _ = syncing_process.communicate(timeout=60)
    assert b": 2 runs, 4 rows in " in out


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("nowhere", "no such folder (got nowhere)."),
        (".", "contains no recorded run (got .)."),
    ],
)
def test_folder_without_a_manifest_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], given: str, expected: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([given]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"pgexp-sync: FOLDER: {expected}")


def test_failing_sweep_does_not_stop_the_sync(
    recorded: Callable[..., SweepManifest], capsys: pytest.CaptureFixture[str]
) -> None:
    away, damaged, sound = recorded("a", uri="http://me:s3cret@127.0.0.1:1"), recorded("b"), recorded("c")
    (damaged.folder / "manifest.json").write_text("{}")
    assert main([str(sound.folder.parent)]) == 1
    out, err = capsys.readouterr()
    assert out.startswith(f"{sound.folder}: 2 runs, 4 rows in ")
    first, second = err.splitlines()
    assert first.startswith(f"pgexp-sync: {away.folder}: ")
    assert "MLFLOW_TRACKING_URI is not set" in first
    assert second.startswith(f"pgexp-sync: {damaged.folder}/manifest.json: ")


def test_password_from_the_environment_is_not_printed(
    recorded: Callable[..., SweepManifest], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    record = recorded(uri="http://me:s3cret@127.0.0.1:1")
    assert b"s3cret" not in (record.folder / "manifest.json").read_bytes()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:s3cret@127.0.0.1:1")
    assert main([str(record.folder)]) == 1
    err = capsys.readouterr().err
    assert "http://me:***@127.0.0.1:1, experiment pgexp: ConnectionRefusedError" in err
    assert "s3cret" not in err


def test_damaged_manifest_above_a_run_is_refused(
    recorded: Callable[..., SweepManifest], capsys: pytest.CaptureFixture[str]
) -> None:
    record = recorded()
    (record.folder / "manifest.json").write_text("{")
    assert main([str(record.folder / "0")]) == 2
    assert capsys.readouterr().err.startswith("pgexp-sync: FOLDER: ")


def test_help_loads_nothing_heavy() -> None:
    script = "import sys, pgexp.cli.sync; print(*{'torch', 'mlflow', 'pandas', 'pyarrow', 'hydra'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
