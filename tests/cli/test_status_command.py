"""pgexp-status: output, exit codes, sync to MLflow and errors."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from pgexp.cli import status
from pgexp.execution import progress
from pgexp.runs.manifest import CachedRun, RunEntry, SweepManifest, load_manifest, save_manifest
from pgexp.tracking import sync
from pgexp.tracking.sync_marker import is_synced, write_marker
from tests.cli.lock_holder import holder
from tests.cli.mlflow_store import Store
from tests.cli.status_sweeps import Sweep

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Return a function that runs the command, and returns its exit code and output."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    for setting in ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_LOGGING_LEVEL", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"):
        monkeypatch.setenv(setting, "")  # the command sets it; it is restored after the test

    def called(*arguments: str | Path) -> tuple[int, str, str]:
        code = status.main([str(argument) for argument in arguments])
        return (code, *capsys.readouterr())

    return called


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sweep:
    """A sweep of two configurations in the working directory."""
    monkeypatch.chdir(tmp_path)
    return Sweep(Path("multirun/first"))


def lines(out: str) -> list[list[str]]:
    """Return the cells of each line, which are separated by two or more spaces."""
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in out.splitlines()]


def test_status_of_a_sweep_in_training(sweep: Sweep, call: Call) -> None:
    sweep.train("b0", 1.0, 9.0)
    sweep.end("b0", 12.0)
    sweep.train("a0", 0.25, 30.0)
    sweep.train("b1", 0.5, 20.0)
    with holder(sweep.folder / ".lock"):
        code, out, err = call(sweep.folder)
    assert (code, err) == (3, "")
    assert lines(out) == [
        ["a sweep"],
        ["44%", "1 done", "2 running", "1 waiting", "1,000 steps/s", "0:02 left"],
        ["best so far", "lr=b: mean final return 12.0 of 1 seed"],
        [],
        ["final", "training"],
        ["configuration", "done", "running", "waiting", "return", "return", "steps/s"],
        [lines(out)[6][0]],
        ["lr=b", "1", "1", "0", "12.0", "20.0", "500"],
        ["lr=a", "0", "1", "1", "-", "30.0", "500"],
    ]  # 2,250 of 4,000 steps are left, at 1,000 per second
    assert set(lines(out)[6][0]) == {"─"}


def test_best_by_training_return_before_a_seed_finishes(sweep: Sweep, call: Call) -> None:
    sweep.train("b1", 0.5, 20.0)
    sweep.train("a0", 0.5, 30.0)
    sweep.train("a1", 0.5, 40.0)
    with holder(sweep.folder / ".lock"):
        _, out, _ = call(sweep.folder)
    assert "best so far  lr=a: mean return 35.0 of 2 seeds in training\n" in out


def test_status_of_an_ended_sweep_with_failures(sweep: Sweep, call: Call) -> None:
    for run in ("a0", "a1", "b0"):
        sweep.end(run, 5.0)
    sweep.end("b1", status="FAILED", reason="ValueError: no [bold] air\n  at all\x1b[2J")
    code, out, err = call(sweep.folder)
    assert (code, err) == (1, "")
    assert lines(out)[1] == ["100%", "3 done", "1 failed"]
    assert out.splitlines()[-2:] == [
        "FAILED  multirun/first/b1: ValueError: no [bold] air at all [2J",
        "to compare them: pgexp-compare multirun/first",
    ]


def test_reused_runs_are_done(sweep: Sweep, call: Call) -> None:
    ran = vars(sweep.record.runs[0])
    found = {"folder": "/elsewhere/0", "record": "else", "name": "lr=b seed=2", "score": 7.0}
    found |= {"configuration": "b", "configuration_name": "lr=b", "seed": 2, "key": ran["key"], "params": {}}
    save_manifest(replace(sweep.record, cached=(CachedRun(**found),)))
    write_marker(load_manifest(sweep.folder))
    for run in ("a0", "a1", "b0"):
        sweep.end(run, 5.0)
    write_marker(load_manifest(sweep.folder))
    code, out, _ = call(sweep.folder)
    assert code == 1
    assert lines(out)[1:3] == [
        ["80%", "4 done", "1 waiting"],
        ["best so far", "lr=b: mean final return 6.000 of 2 seeds"],
    ]
    assert [run["state"] for run in json.loads(call(sweep.folder, "--json")[1])["runs"]] == [
        "finished",
        "finished",
        "finished",
        "scheduled",
        "finished",
    ]


def test_orphaned_workers_count_as_training(sweep: Sweep, call: Call) -> None:
    sweep.train("a0", 0.5, 30.0)
    with holder(sweep.folder / ".workers.lock"):
        code, out, _ = call(sweep.folder)
    assert (code, lines(out)[1][1]) == (3, "1 running")


def test_all_finished_is_success(sweep: Sweep, call: Call) -> None:
    for run in ("a0", "a1", "b0", "b1"):
        sweep.end(run, 5.0)
    assert call(sweep.folder)[0] == 0


def test_killed_run_without_an_end_is_stopped(sweep: Sweep, call: Call) -> None:
    sweep.train("a0", 0.5, 30.0)
    sweep.end("a1", status="KILLED")
    code, out, _ = call(sweep.folder)
    assert code == 1
    assert lines(out)[1] == ["12%", "2 stopped", "2 waiting"]
    assert out.endswith("no process trains the runs. To resume them: pgexp-resume multirun/first\n")


def test_lock_of_a_run_means_training(sweep: Sweep, call: Call) -> None:
    sweep.train("a0", 0.5, 30.0)
    with holder(sweep.folder / "a0" / ".lock"):
        code, out, _ = call(sweep.folder)
    assert (code, lines(out)[1][1]) == (3, "1 running")


def test_recent_rows_decide_if_a_lock_is_not_accessible(
    sweep: Sweep, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    (sweep.folder / ".lock").touch()
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != ".lock" and access(path, mode))
    assert call(sweep.folder)[0] == 1
    sweep.train("a0", 0.5, 30.0)
    assert call(sweep.folder)[0] == 3


def test_status_of_a_single_run(tmp_path: Path, sweep: Sweep, call: Call) -> None:
    run = RunEntry(".", "id", "CartPole-v1 value seed=3", "key", "c", "CartPole-v1 value", 3, {}, {})
    record = SweepManifest(tmp_path / "run", None, run.name, "pgexp", sweep.record.tracking, (run,), {})
    save_manifest(record)
    write_marker(record)
    code, out, _ = call(record.folder)
    assert code == 1
    assert lines(out)[:2] == [["CartPole-v1 value seed=3"], ["0%", "1 waiting"]]


def test_default_is_the_newest(sweep: Sweep, call: Call) -> None:
    older, newer = Sweep(Path("multirun/2026-11-25/10-00-00")), Sweep(Path("outputs/2026-11-25/10-00-00"))
    for age, each in enumerate((newer, sweep, older)):
        os.utime(each.folder / "manifest.json", (1000 - age, 1000 - age))
    assert json.loads(call("--json")[1])["folder"] == str(newer.folder.absolute())
    assert json.loads(call("--json", "multirun")[1])["folder"] == str(sweep.folder.absolute())
    assert json.loads(call("--json", ".")[1])["folder"] == str(newer.folder.absolute())


def test_run_folder_shows_its_sweep(sweep: Sweep, call: Call) -> None:
    assert json.loads(call("--json", sweep.folder / "a1")[1])["name"] == "a sweep"


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (["nowhere"], "no such folder (got nowhere)."),
        (["."], "contains no recorded run (got .)."),
        ([], "no recorded run in multirun or outputs."),
    ],
)
def test_folder_without_a_manifest_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Call, given: list[str], shown: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = call(*given)
    assert (code, out) == (2, "")
    assert err.startswith(f"pgexp-status: FOLDER: {shown}")


def test_damaged_manifest_is_refused(sweep: Sweep, call: Call) -> None:
    (sweep.folder / "manifest.json").write_text("{")
    code, out, err = call(sweep.folder)
    assert (code, out) == (2, "")
    assert "multirun/first/manifest.json: not JSON" in err


def test_json_output(sweep: Sweep, call: Call) -> None:
    sweep.train("a0", 1.0, 9.0)
    sweep.end("a0", 12.0)
    sweep.train("a1", 0.5, 20.0)
    sweep.end("b0", status="FAILED", reason="why")
    with holder(sweep.folder / ".lock"):
        code, out, _ = call(sweep.folder, "--json")
    shown = json.loads(out)
    assert code == 3
    runs, configurations = shown.pop("runs"), shown.pop("configurations")
    assert shown == {
        "folder": str(sweep.folder.absolute()),
        "name": "a sweep",
        "sweep": "sweep-1",
        "training": True,
        "over": False,
        "finished": 1,
        "running": 1,
        "failed": 1,
        "killed": 0,
        "pruned": 0,
        "scheduled": 1,
        "share": 0.625,
        "steps_per_second": 500.0,
        "seconds_left": 3.0,
    }
    assert configurations[0] == {
        "name": "lr=a",
        "finished": 1,
        "running": 1,
        "failed": 0,
        "killed": 0,
        "pruned": 0,
        "scheduled": 0,
        "final_return_mean": 12.0,
        "final_returns": 1,
        "training_return_mean": 20.0,
    }
    assert [run["state"] for run in runs] == ["finished", "running", "failed", "scheduled"]
    assert runs[2] == {
        "name": "lr=b seed=0",
        "folder": "b0",
        "key": "key",
        "state": "failed",
        "steps": 0,
        "share": 0.0,
        "final_return_mean": None,
        "training_return_mean": None,
        "reason": "why",
    }


class Time:
    """Simulated time: while the command sleeps, a second passes, and the next event of `happens` occurs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._now = 0.0
        self.happens: Iterator[object] = iter(())
        monkeypatch.setattr(status, "time", SimpleNamespace(sleep=self._wait))
        monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: self._now))

    def _wait(self, seconds: float) -> None:
        self._now += seconds
        next(self.happens)


@pytest.fixture
def passing(monkeypatch: pytest.MonkeyPatch) -> Time:
    return Time(monkeypatch)


def test_watch_outside_a_terminal_prints_lines(sweep: Sweep, call: Call, passing: Time) -> None:
    def course() -> Iterator[None]:
        for second in range(1, 26):
            sweep.train("a0", second / 50, 10.0)
            yield
        for run in ("a0", "a1", "b0", "b1"):
            sweep.end(run, 5.0)
        process.kill()
        process.wait()
        yield

    with holder(sweep.folder / ".lock") as process:
        passing.happens = course()
        code, out, err = call(sweep.folder, "--watch")
    assert (code, err) == (0, "")
    assert "\x1b" not in out
    first, second, *table = out.splitlines()
    assert first == "training 4 runs: 5%  1 running  500 steps/s  mean return 10.0  0:08 left"
    assert second == "training 4 runs: 10%  1 running  500 steps/s  mean return 10.0  0:07 left"
    assert table[:2] == ["a sweep", "100%  4 done"]


def test_watch_ends_if_no_process_trains(sweep: Sweep, call: Call, passing: Time) -> None:
    sweep.train("a0", 0.5, 10.0)
    with holder(sweep.folder / ".lock") as process:

        def course() -> Iterator[None]:
            yield
            process.kill()
            process.wait()
            yield

        passing.happens = course()
        code, out, _ = call(sweep.folder, "--watch")
    assert code == 1
    assert out.splitlines()[1] == "12%  1 stopped  3 waiting"


def test_watch_follows_a_growing_sweep(sweep: Sweep, call: Call, passing: Time) -> None:
    with holder(sweep.folder / ".lock") as process:

        def course() -> Iterator[None]:
            for run in ("a0", "a1", "b0", "b1"):
                sweep.end(run, 5.0)
            yield
            grown = Sweep(sweep.folder, "abc")
            yield
            grown.end("c1", 6.0)
            process.kill()
            process.wait()
            yield

        passing.happens = course()
        code, out, _ = call(sweep.folder, "--watch")
    assert code == 1
    assert "83%  5 done  1 waiting" in out
    assert "lr=c" in out


def test_export_to_mlflow_counts_as_training(sweep: Sweep, call: Call) -> None:
    for run in ("a0", "a1", "b0", "b1"):
        sweep.end(run, 5.0)
    with holder(sweep.folder / ".lock"):
        code, out, _ = call(sweep.folder)
    assert code == 3
    assert out.endswith("all runs have ended; their command still records them in MLflow\n")


def test_runs_that_end_while_polling(sweep: Sweep, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    (sweep.folder / ".lock").touch()
    sweep.train("a0", 0.9, 10.0)

    def free(path: Path) -> None:
        for run in ("a0", "a1", "b0", "b1"):
            sweep.end(run, 5.0)

    monkeypatch.setattr(status, "find_holder", free)
    code, out, _ = call(sweep.folder)
    assert (code, lines(out)[1]) == (0, ["100%", "4 done"])


def test_ctrl_c_ends_watch_silently(sweep: Sweep, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(status, "time", SimpleNamespace(sleep=interrupt))
    with holder(sweep.folder / ".lock"):
        assert call(sweep.folder, "--watch") == (130, "", "")


@pytest.fixture
def stored(workplace: Callable[[], Path], monkeypatch: pytest.MonkeyPatch) -> Sweep:
    """A sweep with an empty store, not yet synced."""
    folder = workplace()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sync, "_PAUSES", (0.0, 0.0))
    sweep = Sweep(Path("multirun/first"), "a", f"sqlite:///{folder}/mlflow.db")
    sweep.train("a0", 1.0, 10.0)
    sweep.end("a0", 12.0)
    sweep.train("a1", 0.5, 20.0)
    (sweep.folder / ".synced").unlink()
    return sweep


def test_status_ends_parent_runs_in_mlflow(stored: Sweep, call: Call) -> None:
    code, out, err = call(stored.folder)
    assert (code, err) == (1, "")
    assert out.endswith(f"MLflow  {stored.record.tracking.uri}, experiment pgexp: complete\n")
    assert Store(Path.cwd()).statuses == {
        "a sweep": "KILLED",
        "lr=a": "KILLED",
        "lr=a seed=0": "FINISHED",
        "lr=a seed=1": "KILLED",
    }


def test_status_syncs_once(stored: Sweep, call: Call) -> None:
    assert "MLflow" in call(stored.folder, "--json")[2]
    assert is_synced(stored.record)
    assert "MLflow" not in call(stored.folder)[1]


def test_sweep_in_training_is_not_synced(stored: Sweep, call: Call) -> None:
    with holder(stored.folder / ".lock"):
        code, out, _ = call(stored.folder)
    assert code == 3
    assert "MLflow" not in out
    assert not is_synced(stored.record)


def test_unreachable_store_is_reported_in_one_line(tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync, "_PAUSES", (0.0, 0.0))
    sweep = Sweep(tmp_path / "first", "a", "http://127.0.0.1:1")
    for run in ("a0", "a1"):
        sweep.end(run, 5.0)
    (sweep.folder / ".synced").unlink()
    code, out, err = call(sweep.folder)
    assert (code, err) == (0, "")
    shown = out.splitlines()[-1]
    assert shown.startswith("MLflow  http://127.0.0.1:1, experiment pgexp: may lack some rows (ConnectionRefusedError")
    assert shown.endswith(f"). When the store is available: pgexp-sync {sweep.folder}")


def test_status_loads_nothing_heavy(sweep: Sweep) -> None:
    sweep.train("a0", 0.5, 10.0)
    heavy = "{'torch', 'mlflow', 'pandas', 'pyarrow', 'hydra', 'scipy', 'numpy'}"
    script = f"import sys; from pgexp.cli.status import main; main(sys.argv[1:]); print(*{heavy} & set(sys.modules))"
    command = [sys.executable, "-c", script, str(sweep.folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "1 stopped" in done.stdout
    assert done.stdout.splitlines()[-1] == ""
