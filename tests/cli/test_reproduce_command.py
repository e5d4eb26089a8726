"""pgexp-reproduce: output, exit codes and errors."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file, save_file

from pgexp.cli.reproduce import main
from pgexp.runs.manifest import load_manifest
from pgexp.tracking.client import connect
from pgexp.tracking.export import SweepExport
from pgexp.tracking.store import COMMAND_SETTINGS
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
        export = SweepExport(load_manifest(folder / name))
        export.open()
        for _ in export.export_rows():
            pass
    return folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it as the working directory. The store has the paths of the original folders."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for setting, value in COMMAND_SETTINGS.items():
        monkeypatch.setenv(setting, value)
    return tmp_path


@pytest.fixture
def output_of(capfd: pytest.CaptureFixture[str]) -> Callable[..., list[str]]:
    """Return a function that runs the command, checks the exit code and returns the output lines."""

    def call(*arguments: str, code: int = 0) -> list[str]:
        assert main(arguments) == code
        out, err = capfd.readouterr()
        assert err == ""
        return out.splitlines()

    return call


@pytest.fixture
def error_of(capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Return a function that runs the command, and returns its one line of error."""

    def call(*arguments: str) -> str:
        code = main(arguments)
        out, err = capfd.readouterr()
        assert (code, out, err.count("\n")) == (2, "", 1)
        return err.removeprefix("pgexp-reproduce: ").rstrip("\n")

    return call


def rows(folder: Path) -> int:
    return pq.read_table(folder / "metrics.parquet").num_rows


def edit(folder: Path, metric: str, row: int, value: float) -> tuple[int, float]:
    """Change a value of a run's table. Return the row's steps and the old value."""
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


def test_a_run_is_identical(folder: Path, output_of: Callable[..., list[str]]) -> None:
    count = rows(folder / "run")
    assert output_of("run") == [
        "code, packages and machine as recorded",
        f"CartPole-v1 mean seed=4  identical: {count} of {count} rows, 4 of 4 parameters",
    ]


def test_changed_value_is_located(folder: Path, output_of: Callable[..., list[str]]) -> None:
    count = rows(folder / "run")
    steps, before = edit(folder / "run", "train/return_mean", 1, 1000.0)
    lines = output_of("run", code=1)
    head = "CartPole-v1 mean seed=4  "
    assert lines[1] == f"{head}different: only {count - 1} of {count} rows, 4 of 4 parameters are identical"
    gap = 1000.0 - before
    assert lines[2] == (
        f"{'':{len(head)}}first difference: at {steps} steps: train/return_mean, recorded 1000.0, "
        f"now {before!r} (absolute {gap:.2g}, relative {gap / 1000:.2g})"
    )
    assert len(lines) == 3


def test_last_bit_of_a_value_is_detected(folder: Path, output_of: Callable[..., list[str]]) -> None:
    table = pq.read_table(folder / "run" / "metrics.parquet")
    value = float(np.nextafter(table["train/return_mean"][0].as_py(), np.inf))
    _, before = edit(folder / "run", "train/return_mean", 0, value)
    assert f"recorded {value!r}, now {before!r} (absolute " in output_of("run", code=1)[2]


def test_changed_parameter_is_detected(folder: Path, output_of: Callable[..., list[str]]) -> None:
    path = folder / "run" / "policy" / "policy.safetensors"
    tensors = load_file(path)
    tensors["0.weight"][1, 2] += 0.5
    save_file(tensors, path)
    lines = output_of("run", code=1)
    assert lines[1].endswith(f"{rows(folder / 'run')} rows, 3 of 4 parameters are identical")
    assert lines[2].strip() == "largest difference of a parameter: 0.weight, 1 of 32 values, by up to 0.5"
    assert len(lines) == 3


def test_changed_package_is_printed(folder: Path, output_of: Callable[..., list[str]]) -> None:
    packages = folder / "run" / "provenance" / "packages.txt"
    lines = packages.read_text().splitlines()
    numpy = next(line for line in lines if line.startswith("numpy=="))
    packages.write_text("\n".join("numpy==1.0" if line == numpy else line for line in lines))
    said = output_of("run")
    assert said[:2] == ["different today:", f"  package numpy: 1.0 then, {numpy.removeprefix('numpy==')} now"]
    assert " identical: " in said[2]


def test_changed_code_is_printed_with_a_hint(folder: Path, output_of: Callable[..., list[str]]) -> None:
    path = folder / "run" / "provenance" / "git.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"code": "c0de" * 16}))
    said = output_of("run")
    assert said[1].startswith("  code: c0dec0dec0de then, ")
    assert said[2] == "the code has changed; --worktree prints how to check out the recorded code"


def test_killed_run_is_compared_up_to_its_end(folder: Path, output_of: Callable[..., list[str]]) -> None:
    log = folder / "run" / "rows.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:2]) + lines[2][:20])
    (folder / "run" / "metrics.parquet").unlink()
    shutil.rmtree(folder / "run" / "policy")
    steps = json.loads(lines[1])["steps"]
    assert output_of("run")[1] == (
        f"CartPole-v1 mean seed=4  identical: 2 of 2 rows (the recording stops at {steps} steps, before the run's end)"
    )


def test_end_of_a_run_is_printed(folder: Path, output_of: Callable[..., list[str]]) -> None:
    log = folder / "run" / "rows.jsonl"
    *lines, _end = log.read_bytes().splitlines(keepends=True)
    ends = {"KILLED": False, "FAILED": True}  # the second cannot resume
    for status, complete in ends.items():
        end = {"end": status, "time": 0, "reason": "the motor is stuck", "complete": complete}
        log.write_bytes(b"".join([*lines, json.dumps(end).encode() + b"\n"]))
        assert output_of("run")[2].strip() == "the recorded run ended with: the motor is stuck"


def test_all_runs_of_a_sweep(folder: Path, output_of: Callable[..., list[str]]) -> None:
    edit(folder / "sweep" / "2", "train/return_mean", 0, 1000.0)
    (folder / "sweep" / "3" / "rows.jsonl").write_bytes(b"")
    (folder / "sweep" / "3" / "metrics.parquet").unlink()
    lines = output_of("sweep", "--all", code=1)
    first, second = (rows(folder / "sweep" / name) for name in "01")
    assert lines[1:3] == [
        f"lr=0.01 seed=0  identical: {first} of {first} rows, 4 of 4 parameters",
        f"lr=0.01 seed=1  identical: {second} of {second} rows, 4 of 4 parameters",
    ]
    assert lines[3].startswith("lr=0.02 seed=0  different: ")
    assert lines[4].startswith("                first difference: ")
    assert lines[5:] == ["2 of 3 runs identical; 1 have no row yet"]


def test_sample_is_always_the_same(folder: Path, output_of: Callable[..., list[str]]) -> None:
    first, second = (output_of("sweep", "--all", "--sample", "2") for _ in range(2))
    assert first == second
    assert first[-1] == "2 of 2 runs identical"
    assert output_of("sweep", "--all", "--sample", "9")[-1] == "4 of 4 runs identical"


@pytest.mark.parametrize("lost", [False, True])
def test_run_by_mlflow_id(
    folder: Path, output_of: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch, lost: bool
) -> None:
    name = "CartPole-v1 mean seed=4"
    found, uri = run_id(folder, name), f"sqlite:///{folder}/mlflow.db"
    if lost:
        client = connect(uri)
        client.log_artifact(found, str(folder / "run" / "config.json"))
        client.set_tag(found, "pgexp.folder", "/no/where")
    assert output_of(found)[1].startswith(f"{name}  identical: ")


def test_sweep_by_id(folder: Path, output_of: Callable[..., list[str]]) -> None:
    sweep = load_manifest(folder / "sweep").sweep
    assert sweep is not None
    assert output_of(sweep, "--all", "--sample", "1")[-1] == "1 of 1 runs identical"


@pytest.mark.slow
def test_recorded_settings_are_set_before_imports(folder: Path, output_of: Callable[..., list[str]]) -> None:
    """The command starts a new process, since NumPy has read its settings. The variable concerns convolutions only."""
    path = folder / "run" / "provenance" / "machine.json"
    machine = json.loads(path.read_text())
    machine["settings"]["ONEDNN_MAX_CPU_ISA"] = "AVX2"
    path.write_text(json.dumps(machine))
    try:
        lines = output_of("run")
    finally:
        os.environ.pop("ONEDNN_MAX_CPU_ISA", None)
    assert lines[0] == "ONEDNN_MAX_CPU_ISA: set to AVX2 as recorded (here: unset)"
    assert lines[1] == "code, packages and machine as recorded"
    assert " identical: " in lines[2]


def test_worktree_prints_the_commands_of_the_recorded_code(folder: Path, output_of: Callable[..., list[str]]) -> None:
    git = folder / "run" / "provenance" / "git.json"
    about = {"repository": "/src/pgexp", "commit": "abc" * 10, "pgexp": True, "untracked": {"notes.py": None}}
    git.write_text(json.dumps(json.loads(git.read_text()) | about))
    git.with_suffix(".diff").write_text("diff")
    records, code = folder / "run" / "provenance", folder / "code"
    expected = [
        f"git -C /src/pgexp worktree add --detach {code} {'abc' * 10}",
        f"git -C {code} apply --whitespace=nowarn {records}/git.diff",
        f"python -m venv {code}/.venv",
        f"{code}/.venv/bin/python -m pip install -r {records}/requirements.lock",
        "# not tracked by git, copy it: notes.py",
        f"PYTHONPATH={records}/modules:{code} {code}/.venv/bin/python -P -m pgexp.cli.reproduce {folder}/run",
    ]
    assert output_of("run", "--worktree", "code") == expected


def test_worktree_needs_a_commit(folder: Path, error_of: Callable[..., str]) -> None:
    git = folder / "run" / "provenance" / "git.json"
    git.write_text(json.dumps(json.loads(git.read_text()) | {"commit": None}))
    assert error_of("run", "--worktree").startswith("worktree: ")


def test_worktree_needs_one_code_version(folder: Path, error_of: Callable[..., str]) -> None:
    path = folder / "sweep" / "1" / "provenance" / "git.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"code": "c0de"}))
    assert "several versions of the code" in error_of("sweep", "--all", "--worktree")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "run: "),
        ([UNKNOWN], "run: "),
        (["sweep"], "run: "),
        (["run", "--all"], "sweep: "),
        (["nowhere", "--all"], "sweep: "),
        (["run", "--sample", "1"], "--sample: needs a sweep"),
        (["sweep", "--all", "--sample", "0"], "--sample: must be at least 1"),
        (["run", "seed"], "seed: must have the form key=value"),
        (["run", "seed=1"], "seed: "),
        ([UNKNOWN, "--uri", "sqlite:///none.db"], "run: "),
    ],
)
def test_user_errors_are_one_line(folder: Path, error_of: Callable[..., str], arguments: list[str], said: str) -> None:
    assert error_of(*arguments).startswith(said)


@pytest.mark.parametrize("name", ["config.json", "rows.jsonl", "provenance/git.json", "provenance/machine.json"])
def test_damaged_file_is_one_line(folder: Path, error_of: Callable[..., str], name: str) -> None:
    (folder / "run" / name).write_text("nonsense\n")
    assert name in error_of("run")


def test_run_without_rows_is_one_line(folder: Path, error_of: Callable[..., str]) -> None:
    (folder / "run" / "rows.jsonl").unlink()
    (folder / "run" / "metrics.parquet").unlink()
    assert error_of("run").endswith("has no row of metrics yet")


def test_removed_option_is_reported_with_a_hint(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = folder / "run" / "config.json"
    config = json.loads(path.read_text())
    config["baseline"] = {"_target_": "gone_module.Gone"}
    path.write_text(json.dumps(config))
    git = folder / "run" / "provenance" / "git.json"
    git.write_text(json.dumps(json.loads(git.read_text()) | {"code": "c0de"}))
    assert main(["run"]) == 2
    problem, hint = capfd.readouterr().err.splitlines()
    assert problem.startswith("pgexp-reproduce: baseline._target_: ")
    assert hint.startswith("pgexp-reproduce: worktree: ")


def test_interrupt_is_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pgexp.execution.reproduce.reproduce", interrupted)
    assert main(["run"]) == 130
    assert capfd.readouterr().err == "pgexp-reproduce: interrupted; the recorded runs are unchanged\n"
