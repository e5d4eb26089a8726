"""A sweep trained by worker processes: its results, and workers that die."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pgexp.runs.run_log import End, RunLogReader
from tests.cli.conftest import CLOCK, Done
from tests.cli.console import Server
from tests.streams import episode_seed

TWO = "workers.processes=2"
ROUND = ("-m", *CLOCK, "seed=0,1,2", "budget.steps=160", "checkpoint.seconds=0")
FILES = ("metrics.parquet", "policy/policy.safetensors")
LATE = f"+env.kwargs.when={episode_seed(1, 'env', 0, 3)}"  # in seed 1's fourth batch of five

Sweep = Callable[..., Done]


@pytest.fixture(scope="module")
def sweep(ready: Server, workplace: Callable[[], Path]) -> Sweep:
    """Return a function that runs a sweep over three seeds."""

    def run(*arguments: str, **limits: int) -> Done:
        folder = workplace()
        return Done(folder, ready.run(folder, *ROUND, *arguments, **limits))

    return run


@pytest.fixture(scope="module")
def here(sweep: Sweep) -> Done:
    """The sweep, trained in the command's process."""
    return sweep("workers.processes=0", "+env.kwargs.deed=none", LATE)


def contents(done: Done, runs: Sequence[int] = range(3)) -> list[bytes]:
    return [(done.job(run) / name).read_bytes() for run in runs for name in FILES]


def end(folder: Path) -> End:
    *_, last = RunLogReader(folder / "rows.jsonl").read()
    assert isinstance(last, End)
    return last


@pytest.mark.slow
def test_workers_give_bit_identical_results(here: Done, sweep: Sweep) -> None:
    done = sweep(TWO, "+env.kwargs.deed=none", LATE)
    assert (done.answer.code, done.answer.err) == (0, "")
    assert "3 of 3 runs done" in done.answer.out
    assert contents(done) == contents(here)


@pytest.mark.slow
def test_killed_worker_is_replaced(here: Done, sweep: Sweep) -> None:
    done = sweep(TWO, "+env.kwargs.deed='die once'", LATE)
    assert (done.answer.code, done.answer.err) == (0, "")
    assert (done.folder / "died").exists()
    log = (done.job(1) / "run.log").read_text()
    assert "training mine:Clock-v0 with seed 1, from 96 steps" in log  # it was killed in the fourth batch
    assert contents(done) == contents(here)


@pytest.mark.slow
def test_only_the_run_that_kills_workers_fails(here: Done, sweep: Sweep) -> None:
    done = sweep("workers.processes=1", "+env.kwargs.deed=die", LATE)
    reason = "its worker died 3 times: SIGKILL (out of memory?)"
    assert (done.answer.code, done.answer.err) == (1, "")
    assert f"FAILED  {done.job(1)}: {reason}" in done.answer.out.splitlines()
    assert (end(done.job(1)).status, end(done.job(1)).reason) == ("FAILED", reason)
    assert contents(done, runs=(0, 2)) == contents(here, runs=(0, 2))


@pytest.mark.slow
def test_fail_fast_ends_a_sweep_at_the_first_failure(sweep: Sweep) -> None:
    done = sweep(
        TWO,
        "+env.kwargs.deed='pay NaN'",
        LATE,
        "sweep.fail_fast=true",
        "budget.steps=100_000",
    )
    assert done.answer.code == 1
    assert end(done.job(1)).status == "FAILED"
    assert [status for name, status in done.store.statuses.items() if " seed=" in name].count("KILLED") == 2


@pytest.mark.slow
def test_full_disk_ends_a_sweep_with_one_line(sweep: Sweep) -> None:
    done = sweep(TWO, "+env.kwargs.deed=none", LATE, "budget.steps=100_000", file_size=600_000)
    assert done.answer.code == 1
    assert done.answer.err.startswith(f"pgexp: stopped by {done.output}/")
    assert done.answer.err.endswith("; what was recorded is readable\n")
    assert done.answer.err.count("\n") == 1
