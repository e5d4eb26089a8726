"""pgexp-sync, as its user has it: what it brings over, what it says, and what it refuses."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pgexp.cli import sync
from pgexp.storage import syncing
from pgexp.storage.record import Record, RunRecord, Tracking, write
from pgexp.storage.spool import Row, SpoolWriter
from tests.cli.holding import holder
from tests.cli.store import Store


@pytest.fixture
def recorded(workplace: Callable[[], Path], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Record]:
    """Writes the record of a sweep of two seeds with two rows each, of which one has ended; its store is empty."""
    folder = workplace()
    for setting in ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_LOGGING_LEVEL", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"):
        monkeypatch.setenv(setting, "")  # what the command sets is taken back at the test's end
    monkeypatch.setattr(syncing, "_PAUSES", (0.0, 0.0))

    def made(name: str = "first", uri: str = f"sqlite:///{folder}/mlflow.db") -> Record:
        runs = tuple(
            RunRecord(str(seed), f"{name}-{seed}", f"{name} seed={seed}", "key", "configuration", name, seed, {}, {})
            for seed in (0, 1)
        )
        record = Record(folder / "multirun" / name, name, f"sweep {name}", "", Tracking(uri, "pgexp", 9), runs, {})
        write(record)
        spools = [SpoolWriter(record.folder_of(run) / "rows.jsonl") for run in runs]
        for spool in spools:
            for steps in (10, 20):
                spool.append(Row(steps, steps / 20, steps, {"evaluation/return_mean": 0.5 * steps}))
        spools[0].end("FINISHED", complete=True)
        return record

    return made


def test_a_sweep_is_brought_over_and_what_nobody_trains_any_more_was_killed(
    recorded: Callable[..., Record], capsys: pytest.CaptureFixture[str]
) -> None:
    record = recorded()
    assert sync.main([str(record.folder)]) == 0
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


def test_records_are_found_below_a_folder_and_above_a_run_and_each_is_brought_once(
    recorded: Callable[..., Record], capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = recorded("first"), recorded("second")
    multirun = first.folder.parent
    assert sync.main([str(first.folder / "1"), str(multirun)]) == 0
    told = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in told] == [str(first.folder), str(second.folder)]
    assert Store(multirun.parent).statuses.keys() >= {"first seed=1", "second seed=1"}


@pytest.mark.parametrize("where", [".", "1"])
def test_a_run_in_training_is_left_to_its_own_recorder(
    recorded: Callable[..., Record], capsys: pytest.CaptureFixture[str], where: str
) -> None:
    record = recorded()
    with holder(record.folder / where / ".lock", record.folder / ".sink.lock") as process:
        assert sync.main([str(record.folder)]) == 0
    assert f": process {process.pid} still trains it, and has it recorded in " in capsys.readouterr().out


def test_a_run_in_training_whose_recorder_died_is_brought_over_and_goes_on(
    recorded: Callable[..., Record], capsys: pytest.CaptureFixture[str]
) -> None:
    record = recorded()
    with holder(record.folder / ".lock") as process:
        assert sync.main([str(record.folder)]) == 0
    assert f": 4 rows so far, as process {process.pid} still trains it, in " in capsys.readouterr().out
    assert Store(record.folder.parents[1]).statuses["first seed=1"] == "RUNNING"


@pytest.mark.slow
def test_a_recorder_that_finishes_its_work_is_waited_for(recorded: Callable[..., Record]) -> None:
    record = recorded()
    code = "import sys; from pgexp.cli.sync import main; sys.exit(main(sys.argv[1:]))"
    with holder(record.folder / ".sink.lock") as process:
        command = [sys.executable, "-c", code, str(record.folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as syncing_process:
            with pytest.raises(subprocess.TimeoutExpired):
                syncing_process.wait(2)
            process.kill()
            out, _ = syncing_process.communicate(timeout=60)
    assert b": 2 runs, 4 rows in " in out


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("nowhere", "nowhere: there is no such folder; name a run's folder, a sweep's, or multirun"),
        (".", ".: there is no recorded run at or below it; name a run's folder, a sweep's, or multirun"),
    ],
)
def test_a_folder_without_a_record_is_a_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], given: str, told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert sync.main([given]) == 2
    assert capsys.readouterr() == ("", f"pgexp-sync: {told}\n")


def test_one_record_that_fails_holds_up_no_other(
    recorded: Callable[..., Record], capsys: pytest.CaptureFixture[str]
) -> None:
    away, damaged, sound = recorded("a", uri="http://me:s3cret@127.0.0.1:1"), recorded("b"), recorded("c")
    (damaged.folder / "record.json").write_text("{}")
    assert sync.main([str(sound.folder.parent)]) == 1
    out, err = capsys.readouterr()
    assert out.startswith(f"{sound.folder}: 2 runs, 4 rows in ")
    first, second = err.splitlines()
    assert first.startswith(f"pgexp-sync: {away.folder}: the password of http://me:***@127.0.0.1:1 is recorded nowhere")
    assert "MLFLOW_TRACKING_URI is not set" in first
    assert second.startswith(f"pgexp-sync: {damaged.folder}/record.json: ")


def test_a_password_from_the_environment_is_told_to_nobody(
    recorded: Callable[..., Record], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    record = recorded(uri="http://me:s3cret@127.0.0.1:1")
    assert b"s3cret" not in (record.folder / "record.json").read_bytes()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:s3cret@127.0.0.1:1")
    assert sync.main([str(record.folder)]) == 1
    err = capsys.readouterr().err
    assert "http://me:***@127.0.0.1:1, experiment pgexp: ConnectionRefusedError" in err
    assert "s3cret" not in err


def test_a_damaged_record_above_a_run_is_a_mistake(
    recorded: Callable[..., Record], capsys: pytest.CaptureFixture[str]
) -> None:
    record = recorded()
    (record.folder / "record.json").write_text("{")
    assert sync.main([str(record.folder / "0")]) == 2
    assert "record.json: not JSON" in capsys.readouterr().err


def test_help_loads_nothing_heavy() -> None:
    script = "import sys, pgexp.cli.sync; print(*{'torch', 'mlflow', 'pandas', 'pyarrow', 'hydra'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
