"""pgexp-reproduce, on runs that were trained here: what it tells, and how it ends."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file, save_file

from pgexp.cli import reproduction
from pgexp.cli.compare import MLFLOW_SETTINGS
from pgexp.cli.reproduce import main
from pgexp.execution import restoring
from pgexp.storage import record
from pgexp.storage.mlflow_client import connect
from pgexp.storage.mlflow_sink import MlflowSink
from tests.cli.console import HEAVY
from tests.conftest import Compose
from tests.recorded_runs import recorded

SHORT = (
    "baseline=mean",
    "budget.steps=600",
    "network.widths=[8]",
    "evaluation.every=300",
    "evaluation.final_episodes=3",
)
UNKNOWN = "0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
def trained(configured: Compose, tmp_path_factory: pytest.TempPathFactory, fresh_store: Path) -> Path:
    """A folder with a store, a single run `run`, and a sweep `sweep` of two configurations with two seeds each."""
    folder = tmp_path_factory.mktemp("trained")
    shutil.copy(fresh_store, folder)
    uri = f"tracking.uri=sqlite:///{folder}/mlflow.db"
    recorded([configured(*SHORT, uri, "seed=4")], folder / "run")
    each = [(f"optimizer.lr={lr}", f"seed={seed}") for lr in (0.01, 0.02) for seed in (0, 1)]
    recorded([configured(*SHORT, uri, *keys) for keys in each], folder / "sweep", sweep=True)
    for name in ("run", "sweep"):
        sink = MlflowSink(record.read(folder / name))
        sink.open()
        for _ in sink.drain():
            pass
    return folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, in which the command is called; the store knows the folders that it is copied from."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for setting, value in MLFLOW_SETTINGS.items():
        monkeypatch.setenv(setting, value)
    return tmp_path


@pytest.fixture
def told(capfd: pytest.CaptureFixture[str]) -> Callable[..., list[str]]:
    """Return a function that calls the command, and returns its lines once it has ended with a code."""

    def call(*arguments: str, code: int = 0) -> list[str]:
        assert main(arguments) == code
        out, err = capfd.readouterr()
        assert err == ""
        return out.splitlines()

    return call


@pytest.fixture
def mistake(capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Return a function that calls the command, and returns the one sentence of its refusal."""

    def call(*arguments: str) -> str:
        code = main(arguments)
        out, err = capfd.readouterr()
        assert (code, out, err.count("\n")) == (2, "", 1)
        return err.removeprefix("pgexp-reproduce: ").rstrip("\n")

    return call


def rows(folder: Path) -> int:
    return pq.read_table(folder / "metrics.parquet").num_rows


def edit(folder: Path, metric: str, row: int, value: float) -> tuple[int, float]:
    """Change a value of a run's table; return the row's steps, and what the value was."""
    path = folder / "metrics.parquet"
    table = pq.read_table(path)
    columns = table.to_pydict()
    before = columns[metric][row]
    columns[metric][row] = value
    pq.write_table(pa.Table.from_pydict(columns, schema=table.schema), path)
    return columns["steps"][row], before


def run_id(folder: Path, name: str) -> str:
    client = connect(f"sqlite:///{folder}/mlflow.db")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    (found,) = [run for run in client.search_runs(experiments) if run.info.run_name == name]
    return str(found.info.run_id)


def test_help_loads_nothing_heavy() -> None:
    script = f"import sys, pgexp.cli.reproduce; print(*{set(HEAVY)} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_a_run_is_identical(folder: Path, told: Callable[..., list[str]]) -> None:
    count = rows(folder / "run")
    assert told("run") == [
        "nothing that decides a number differs today",
        f"CartPole-v1 mean seed=4  identical: {count} of {count} rows, 4 of 4 parameters",
    ]


def test_a_changed_value_is_told_with_its_place_and_size(folder: Path, told: Callable[..., list[str]]) -> None:
    count = rows(folder / "run")
    steps, before = edit(folder / "run", "train/return_mean", 1, 1000.0)
    lines = told("run", code=1)
    head = "CartPole-v1 mean seed=4  "
    assert lines[1] == f"{head}different: only {count - 1} of {count} rows, 4 of 4 parameters are identical"
    gap = 1000.0 - before
    assert lines[2] == (
        f"{'':{len(head)}}first difference: at {steps} steps: train/return_mean, recorded 1000.0, "
        f"now {before!r} (absolute {gap:.2g}, relative {gap / 1000:.2g})"
    )
    assert len(lines) == 3


def test_the_last_bit_of_a_value_is_told(folder: Path, told: Callable[..., list[str]]) -> None:
    table = pq.read_table(folder / "run" / "metrics.parquet")
    value = float(np.nextafter(table["train/return_mean"][0].as_py(), np.inf))
    _, before = edit(folder / "run", "train/return_mean", 0, value)
    assert f"recorded {value!r}, now {before!r} (absolute " in told("run", code=1)[2]


def test_a_changed_parameter_is_told(folder: Path, told: Callable[..., list[str]]) -> None:
    path = folder / "run" / "policy" / "policy.safetensors"
    tensors = load_file(path)
    tensors["0.weight"][1, 2] += 0.5
    save_file(tensors, path)
    lines = told("run", code=1)
    assert lines[1].endswith(f"{rows(folder / 'run')} rows, 3 of 4 parameters are identical")
    assert lines[2].strip() == "largest difference of a parameter: 0.weight, 1 of 32 values, by up to 0.5"
    assert len(lines) == 3


def test_a_package_that_changed_is_told_and_need_not_matter(folder: Path, told: Callable[..., list[str]]) -> None:
    packages = folder / "run" / "provenance" / "packages.txt"
    lines = packages.read_text().splitlines()
    numpy = next(line for line in lines if line.startswith("numpy=="))
    packages.write_text("\n".join("numpy==1.0" if line == numpy else line for line in lines))
    said = told("run")
    assert said[:2] == ["differs today:", f"  package numpy: 1.0 then, {numpy.removeprefix('numpy==')} now"]
    assert " identical: " in said[2]


def test_code_that_moved_on_is_told_with_what_can_be_done(folder: Path, told: Callable[..., list[str]]) -> None:
    path = folder / "run" / "provenance" / "git.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"code": "c0de" * 16}))
    said = told("run")
    assert said[1].startswith("  code: c0dec0dec0de then, ")
    assert said[2] == "the code has moved on; --worktree runs the code that was recorded"


def test_a_killed_run_is_found_again_as_far_as_it_was_recorded(folder: Path, told: Callable[..., list[str]]) -> None:
    spool = folder / "run" / "rows.jsonl"
    lines = spool.read_bytes().splitlines(keepends=True)
    spool.write_bytes(b"".join(lines[:2]) + lines[2][:20])
    (folder / "run" / "metrics.parquet").unlink()
    shutil.rmtree(folder / "run" / "policy")
    steps = json.loads(lines[1])["steps"]
    assert told("run")[1] == (
        "CartPole-v1 mean seed=4  identical: 2 of 2 rows; "
        f"recorded no further than to {steps} steps, before the run's end"
    )


def test_how_a_run_ended_is_told(folder: Path, told: Callable[..., list[str]]) -> None:
    spool = folder / "run" / "rows.jsonl"
    *lines, _end = spool.read_bytes().splitlines(keepends=True)
    ends = {"KILLED": False, "FAILED": True}  # the second could not go on
    for status, complete in ends.items():
        end = {"end": status, "time": 0, "reason": "the motor is stuck", "complete": complete}
        spool.write_bytes(b"".join([*lines, json.dumps(end).encode() + b"\n"]))
        assert told("run")[2].strip() == "when it was recorded it ended with: the motor is stuck"


def test_a_whole_sweep_is_reproduced(folder: Path, told: Callable[..., list[str]]) -> None:
    edit(folder / "sweep" / "2", "train/return_mean", 0, 1000.0)
    (folder / "sweep" / "3" / "rows.jsonl").write_bytes(b"")
    (folder / "sweep" / "3" / "metrics.parquet").unlink()
    lines = told("sweep", "--all", code=1)
    first, second = (rows(folder / "sweep" / name) for name in "01")
    assert lines[1:3] == [
        f"lr=0.01 seed=0  identical: {first} of {first} rows, 4 of 4 parameters",
        f"lr=0.01 seed=1  identical: {second} of {second} rows, 4 of 4 parameters",
    ]
    assert lines[3].startswith("lr=0.02 seed=0  different: ")
    assert lines[4].startswith("                first difference: ")
    assert lines[5:] == ["2 of 3 runs identical; 1 have no row yet"]


def test_a_sample_is_the_same_each_time(folder: Path, told: Callable[..., list[str]]) -> None:
    first, second = (told("sweep", "--all", "--sample", "2") for _ in range(2))
    assert first == second
    assert first[-1] == "2 of 2 runs identical"
    assert told("sweep", "--all", "--sample", "9")[-1] == "4 of 4 runs identical"


@pytest.mark.parametrize("lost", [False, True])
def test_a_run_is_named_by_its_mlflow_id(
    folder: Path, told: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch, lost: bool
) -> None:
    name = "CartPole-v1 mean seed=4"
    found, uri = run_id(folder, name), f"sqlite:///{folder}/mlflow.db"
    if lost:
        client = connect(uri)
        client.log_artifact(found, str(folder / "run" / "config.json"))
        client.set_tag(found, "pgexp.folder", "/no/where")
    assert told(found)[1].startswith(f"{name}  identical: ")


def test_a_sweep_is_named_by_its_id(folder: Path, told: Callable[..., list[str]]) -> None:
    sweep = record.read(folder / "sweep").sweep
    assert sweep is not None
    assert told(sweep, "--all", "--sample", "1")[-1] == "1 of 1 runs identical"


@pytest.mark.slow
def test_the_recorded_settings_are_set_before_anything_loads(folder: Path, told: Callable[..., list[str]]) -> None:
    """In a process of its own, since NumPy has read its settings here; this one concerns convolutions alone."""
    path = folder / "run" / "provenance" / "machine.json"
    machine = json.loads(path.read_text())
    machine["settings"]["ONEDNN_MAX_CPU_ISA"] = "AVX2"
    path.write_text(json.dumps(machine))
    try:
        lines = told("run")
    finally:
        os.environ.pop("ONEDNN_MAX_CPU_ISA", None)
    assert lines[0] == "ONEDNN_MAX_CPU_ISA is AVX2 as when the run was recorded; here it would be unset"
    assert lines[1] == "nothing that decides a number differs today"
    assert " identical: " in lines[2]


@pytest.mark.parametrize(
    ("options", "kept", "command"),
    [
        (["run", "--worktree"], None, ["{here}/run"]),
        (["run", "--worktree", "code"], Path("code"), ["{here}/run"]),
        (["sweep", "--all", "--sample", "2", "--worktree"], None, ["{here}/sweep", "--all", "--sample", "2"]),
    ],
)
def test_a_worktree_runs_the_same_command_in_the_recorded_code(
    folder: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], kept: Path | None, command: list[str]
) -> None:
    called: list[object] = []

    def run(origin: object, run_folder: Path, at: Path | None, again: Sequence[str], say: object) -> int:
        called.extend([at, [*again]])
        return 7

    monkeypatch.setattr(restoring, "run_in_recorded_code", run)
    assert main(options) == 7
    assert called == [kept, ["pgexp.cli.reproduce", *(word.format(here=folder) for word in command)]]


def test_a_sweep_of_several_versions_has_no_one_worktree(folder: Path, mistake: Callable[..., str]) -> None:
    path = folder / "sweep" / "1" / "provenance" / "git.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"code": "c0de"}))
    assert "several versions of the code" in mistake("sweep", "--all", "--worktree")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "run: given 'nowhere'; must be a run's folder"),
        ([UNKNOWN], f"run: {UNKNOWN} can't be read from sqlite:///mlflow.db: "),
        (["sweep"], "run: sweep is a sweep's folder; name one of its runs, as sweep/0"),
        (["run", "--all"], "sweep: run is a single run's folder"),
        (["nowhere", "--all"], "sweep: sqlite:///mlflow.db has no runs of a sweep 'nowhere'"),
        (["run", "--sample", "1"], "--sample: takes some runs of a sweep"),
        (["sweep", "--all", "--sample", "0"], "--sample: given 0; must be at least 1"),
        (["run", "seed"], "seed: can't be read as key=value"),
        (["run", "seed=1"], "seed: is no secret that was masked"),
        ([UNKNOWN, "--uri", "sqlite:///none.db"], f"run: {UNKNOWN} is no folder, and there is no store at"),
    ],
)
def test_a_mistake_is_one_sentence(folder: Path, mistake: Callable[..., str], arguments: list[str], said: str) -> None:
    assert mistake(*arguments).startswith(said)


@pytest.mark.parametrize("name", ["config.json", "rows.jsonl", "provenance/git.json", "provenance/machine.json"])
def test_a_damaged_file_is_one_sentence(folder: Path, mistake: Callable[..., str], name: str) -> None:
    (folder / "run" / name).write_text("nonsense\n")
    assert name in mistake("run")


def test_a_run_without_a_row_is_one_sentence(folder: Path, mistake: Callable[..., str]) -> None:
    (folder / "run" / "rows.jsonl").unlink()
    (folder / "run" / "metrics.parquet").unlink()
    assert mistake("run").endswith("has no row of metrics yet, so there is nothing to compare")


def test_an_option_that_is_gone_is_told_with_the_way_back(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = folder / "run" / "config.json"
    config = json.loads(path.read_text())
    config["baseline"] = {"_target_": "gone_module.Gone"}
    path.write_text(json.dumps(config))
    git = folder / "run" / "provenance" / "git.json"
    git.write_text(json.dumps(json.loads(git.read_text()) | {"code": "c0de"}))
    assert main(["run"]) == 2
    problem, hint = capfd.readouterr().err.splitlines()
    assert problem.startswith("pgexp-reproduce: baseline._target_: ")
    moved = "the code has moved on since the run was recorded; --worktree runs what it was then"
    assert hint == f"pgexp-reproduce: worktree: {moved}"


def test_an_interrupt_is_one_sentence(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(reproduction, "reproduce", interrupted)
    assert main(["run"]) == 130
    assert capfd.readouterr().err == "pgexp-reproduce: interrupted; what was recorded is as it was\n"
