"""Failing runs: exceptions of the environment, and rewards that are not finite."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pgexp.runs.run_log import RunLogReader
from tests.cli.conftest import CLOCK, Done
from tests.cli.console import Server
from tests.streams import episode_seed


@pytest.fixture(scope="module")
def raised(ready: Server, workplace: Callable[[], Path]) -> Done:
    """A run whose environment raises in its third batch."""
    folder, when = workplace(), episode_seed(0, "env", 0, 2)
    return Done(folder, ready.run(folder, *CLOCK, f"+env.kwargs.when={when}", "+env.kwargs.deed=fail"))


@pytest.fixture(scope="module")
def diverged(ready: Server, workplace: Callable[[], Path]) -> Done:
    """A sweep over three seeds, of which the middle one gets a NaN reward in its second batch."""
    folder, when = workplace(), episode_seed(1, "env", 0, 1)
    deed = (f"+env.kwargs.when={when}", "+env.kwargs.deed='pay NaN'")
    return Done(folder, ready.run(folder, "-m", *CLOCK, *deed, "seed=0,1,2", "budget.steps=96"))


@pytest.mark.slow
def test_failing_environment_prints_its_traceback(raised: Done) -> None:
    assert raised.answer.code == 1
    title, *lines, error = raised.answer.err.splitlines()
    assert title == "Traceback (most recent call last):"
    assert any("mine.py" in line for line in lines)
    assert error == "RuntimeError: the motor is stuck"
    failed, where = raised.answer.out.splitlines()[-2:]
    assert failed == f"FAILED  {raised.output}: {error}"
    assert where == f"        traceback: {raised.output}/error.txt"
    assert (raised.output / "error.txt").read_text() == raised.answer.err


@pytest.mark.slow
def test_full_disk_is_reported_in_one_line(ready: Server, workplace: Callable[[], Path]) -> None:
    folder = workplace()
    answer = ready.run(folder, *CLOCK, "hydra.run.dir=run", "budget.steps=100000", file_size=600_000)
    assert answer.code == 1
    assert answer.err.startswith(f"pgexp: stopped by {folder}/run/rows.jsonl: No space left on device. ")
    assert answer.err.endswith("; what was recorded is readable\n")
    assert answer.err.count("\n") == 1
    rows = RunLogReader(folder / "run" / "rows.jsonl").read()
    assert len(rows) > 50
    assert not [*(folder / "run").rglob(".*.[0-9]*")]


@pytest.mark.slow
def test_failing_environment_marks_the_run_as_failed(raised: Done) -> None:
    (run,) = raised.store.runs.values()
    assert run.info.status == "FAILED"
    assert run.data.tags["pgexp.reason"] == "RuntimeError: the motor is stuck"
    assert "error.txt" in raised.store.artifacts(run.info.run_name)
    assert (raised.output / "run.log").read_text().endswith("  failed: RuntimeError: the motor is stuck\n")


@pytest.mark.slow
def test_failing_run_does_not_stop_a_sweep(ready: Server, workplace: Callable[[], Path]) -> None:
    folder, when = workplace(), episode_seed(1, "env", 0, 2)
    deed = (f"+env.kwargs.when={when}", "+env.kwargs.deed=fail")
    done = Done(folder, ready.run(folder, "-m", *CLOCK, *deed, "seed=0,1,2", "budget.steps=96"))
    assert (done.answer.code, done.answer.err) == (1, "")
    assert "2 of 3 runs done" in done.answer.out
    failed, where = done.answer.out.splitlines()[-2:]
    assert failed == f"FAILED  {done.job(1)}: RuntimeError: the motor is stuck"
    assert where == f"        traceback: {done.job(1)}/error.txt"


def test_diverged_run_of_a_sweep_is_listed(diverged: Done) -> None:
    assert diverged.answer.code == 1
    assert diverged.answer.err == ""
    place = "at step 0 of episode 1 in environment 0, each counted from 0"
    reason = f"the environment returned a reward that is not finite ({place})"
    assert f"FAILED  {diverged.job(1)}: {reason}" in diverged.answer.out.splitlines()
    assert "2 of 3 runs done" in diverged.answer.out


def test_diverged_run_fails_and_others_finish(diverged: Done) -> None:
    found = {name: status for name, status in diverged.store.statuses.items() if " seed=" in name}
    assert list(found.values()).count("FINISHED") == 2
    assert [name for name, status in found.items() if status == "FAILED"] == ["mine:Clock-v0 value seed=1"]
