"""Reproduction of recorded runs, bit for bit."""

import signal
from collections.abc import Callable, Sequence
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from pgexp.execution.progress import ProgressDisplay
from pgexp.execution.reproduce import current_differences, read_runs, reproduce
from pgexp.execution.run_diff import RunDiff
from pgexp.runs import provenance
from pgexp.runs.files import read_json, write_json
from pgexp.schema.config import RunConfig
from pgexp.schema.errors import UserError
from tests.conftest import Compose
from tests.recorded_runs import recorded
from tests.streams import episode_seed

SHORT = ("budget.steps=600", "network.widths=[8]", "evaluation.every=300", "evaluation.final_episodes=3")


def again(folders: Sequence[Path], **secrets: str) -> list[RunDiff]:
    """Reproduce runs and return their differences, in order."""
    runs = read_runs(folders, {key.replace("__", "."): value for key, value in secrets.items()})
    return [diff for _, diff in reproduce(runs, Console(file=StringIO()))]


@pytest.fixture
def deed(clock: Compose) -> Callable[[str, int], RunConfig]:
    """Return a function that composes a clock with a deed in an episode of its first environment."""

    def made(what: str, episode: int) -> RunConfig:
        when = episode_seed(0, "env", 0, episode)
        return clock("seed=0", f"+env.kwargs.deed='{what}'", f"+env.kwargs.when={when}")

    return made


@pytest.mark.parametrize("baseline", ["mean", "value"])
def test_a_run_is_reproduced(configured: Compose, tmp_path: Path, baseline: str) -> None:
    (diff,) = again(recorded([configured(f"baseline={baseline}", *SHORT)], tmp_path))
    assert diff.identical
    assert diff.rows == diff.equal_rows > 5
    assert diff.parameters == diff.equal_parameters >= 4


def test_a_sweep_is_reproduced_in_its_order(configured: Compose, tmp_path: Path) -> None:
    line = [(f"network={network}", f"seed={seed}") for seed in (1, 2) for network in ("mlp", "linear")]
    folders = recorded([configured(*each, "budget.steps=600", "baseline=mean") for each in line], tmp_path, sweep=True)
    runs = read_runs(folders, {})
    assert [run.name for run in runs] == [
        "network=mlp seed=1",
        "network=linear seed=1",
        "network=mlp seed=2",
        "network=linear seed=2",
    ]
    diffs = again(folders)
    assert all(diff.identical for diff in diffs)
    assert [diff.parameters for diff in diffs] == [6, 2, 6, 2]


def test_another_seed_is_not_reproduced(configured: Compose, tmp_path: Path) -> None:
    (folder,) = recorded([configured("baseline=mean", "seed=1", *SHORT)], tmp_path)
    config = read_json(folder / "config.json")
    write_json(folder / "config.json", config | {"seed": 2})
    (diff,) = again([folder])
    assert not diff.identical
    assert diff.equal_parameters == 0
    (difference,) = current_differences(read_runs([folder], {}))
    assert difference.deciding == ("config.json: changed since the run was recorded",)


NAN = "a reward that is not finite (at step 0 of episode 2 in environment 0"


def test_a_reward_that_is_not_finite_is_reproduced(deed: Callable[[str, int], RunConfig], tmp_path: Path) -> None:
    (diff,) = again(recorded([deed("pay NaN", 2)], tmp_path))
    assert diff.identical
    assert diff.rows == 2
    assert diff.recorded.reason == diff.retrained.reason
    assert NAN in diff.recorded.reason


@pytest.mark.parametrize("what", ["interrupt", "fail"])
def test_a_stopped_run_is_reproduced_up_to_its_last_row(
    deed: Callable[[str, int], RunConfig], tmp_path: Path, what: str
) -> None:
    (folder,) = recorded([deed(what, 2)], tmp_path)
    if what == "interrupt":  # not again
        config = read_json(folder / "config.json")
        config["env"]["kwargs"]["when"] = -1
        write_json(folder / "config.json", config)
    (diff,) = again([folder])
    assert diff.identical
    assert (diff.rows, diff.equal_rows, diff.parameters) == (2, 2, 0)
    assert not diff.recorded.complete
    assert diff.retrained.reason == ("RuntimeError: the motor is stuck" if what == "fail" else "interrupted")


def test_a_users_interrupt_is_raised(clock: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the second update of a run that was stopped after the third."""
    (folder,) = recorded([clock("budget.steps=320")], tmp_path)
    lines = (folder / "rows.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "rows.jsonl").write_bytes(b"".join(lines[:3]))
    (folder / "metrics.parquet").unlink()
    shown = []

    def show(display: ProgressDisplay, done: float, rate: float, return_mean: float | None) -> None:
        shown.append(done)
        if len(shown) == 2:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(ProgressDisplay, "show_training", show)
    with pytest.raises(KeyboardInterrupt):
        again([folder])
    assert len(shown) == 2


def test_a_stopped_run_is_trained_no_further_than_needed(clock: Compose, tmp_path: Path) -> None:
    keys = ("budget.steps=320", "evaluation.every=8")
    folders = recorded([clock(f"seed={seed}", *keys) for seed in (1, 2)], tmp_path, sweep=True)
    for folder, kept in zip(folders, (4, 8), strict=True):
        lines = (folder / "rows.jsonl").read_bytes().splitlines(keepends=True)
        (folder / "rows.jsonl").write_bytes(b"".join(lines[:kept]))
        (folder / "metrics.parquet").unlink()
    diffs = again(folders)
    assert [diff.rows for diff in diffs] == [4, 8]
    assert all(diff.identical for diff in diffs)
    # Two updates of eight steps each, with an evaluation after each, are four rows. One update more is trained.
    assert [(diff.recorded.steps, diff.retrained.steps) for diff in diffs] == [(16, 24), (32, 40)]


def test_no_file_is_left_and_the_record_is_unchanged(clock: Compose, tmp_path: Path) -> None:
    (folder,) = recorded([clock()], tmp_path / "run")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    again([folder])
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_nothing_differs_right_after_training(clock: Compose, tmp_path: Path) -> None:
    folders = recorded([clock("seed=1"), clock("seed=2")], tmp_path, sweep=True)
    ((difference, names),) = current_differences(read_runs(folders, {})).items()
    assert (difference.deciding, difference.code) == ((), False)
    assert names == [f"tests.execution.own.mine:Clock-v0 mean seed={seed}" for seed in (1, 2)]


def test_differences_are_reported_for_the_runs_that_have_them(clock: Compose, tmp_path: Path) -> None:
    folders = recorded([clock(f"seed={seed}") for seed in range(3)], tmp_path, sweep=True)
    packages = folders[1] / "provenance" / "packages.txt"
    text = packages.read_text().replace("numpy==", "numpy==1.")
    packages.unlink()  # the other runs have the same file
    packages.write_text(text)
    found = current_differences(read_runs(folders, {}))
    assert sorted(len(names) for names in found.values()) == [1, 2]
    ((message,),) = [difference.deciding for difference, names in found.items() if len(names) == 1]
    assert message.startswith("package numpy: 1.")


def test_a_run_has_the_code_of_its_whole_sweep(configured: Compose, clock: Compose, tmp_path: Path) -> None:
    """The modules of all jobs are part of a sweep's code."""
    folders = recorded([clock(), configured(*SHORT, "baseline=mean")], tmp_path, sweep=True)
    (difference,) = current_differences(read_runs(folders[1:], {}))
    assert difference.deciding == ()
    assert set(provenance.read(folders[1]).modules) == {"tests/__init__.py", "tests/execution/own/mine.py"}


def test_a_masked_secret_is_required(clock: Compose, tmp_path: Path) -> None:
    (folder,) = recorded([clock()], tmp_path)
    config = read_json(folder / "config.json")
    config["env"]["kwargs"]["token"] = "***"
    write_json(folder / "config.json", config)
    with pytest.raises(UserError, match=r"^env\.kwargs\.token: "):
        read_runs([folder], {})
    (run,) = read_runs([folder], {"env.kwargs.token": "abc"})
    assert run.config.env.kwargs == {"token": "abc"}
    with pytest.raises(UserError, match=r"^seed: "):
        read_runs([folder], {"env.kwargs.token": "abc", "seed": "3"})


@pytest.mark.parametrize("name", ["config.json", "provenance/git.json", "rows.jsonl", "run.json"])
def test_a_damaged_file_is_named(clock: Compose, tmp_path: Path, name: str) -> None:
    (folder,) = recorded([clock()], tmp_path)
    (folder / name).write_text("nonsense\n")
    with pytest.raises(UserError, match=name):
        read_runs([folder], {})
