"""Ctrl-C and SIGTERM: the update is completed, the record is readable, MLflow is updated."""

from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pgexp.execution.run_writer import read_checkpoint_policy
from pgexp.runs.run_log import End, RunLogReader
from tests.cli.conftest import CLOCK, Done
from tests.cli.console import Server
from tests.streams import episode_seed

WHEN = f"+env.kwargs.when={episode_seed(0, 'env', 0, 2)}"  # in seed 0's third batch
MESSAGE = "pgexp: interrupted; what was recorded is readable, and marked KILLED. Continue with pgexp-resume\n"


@pytest.fixture(scope="module")
def single(ready: Server, workplace: Callable[[], Path]) -> Done:
    """A run that gets a SIGINT."""
    folder = workplace()
    return Done(folder, ready.run(folder, *CLOCK, WHEN, "+env.kwargs.deed=SIGINT", "budget.steps=1_000_000"))


@pytest.fixture(scope="module")
def sweep(ready: Server, workplace: Callable[[], Path]) -> Done:
    """Six runs, one after the other; the third gets a SIGTERM."""
    folder = workplace()
    deeds = "+env.kwargs.deed=none,SIGTERM,later"
    return Done(folder, ready.run(folder, "-m", *CLOCK, WHEN, deeds, "seed=0,1", "budget.steps=160"))


def end(folder: Path) -> End:
    *_, last = RunLogReader(folder / "rows.jsonl").read()
    assert isinstance(last, End)
    return last


def trained_steps(folder: Path) -> list[int]:
    return pq.read_table(folder / "metrics.parquet")["steps"].to_pylist()


def test_interrupt_prints_one_line(single: Done) -> None:
    assert (single.answer.code, single.answer.err) == (130, MESSAGE)


def test_interrupted_run_has_rows_and_checkpoint(single: Done) -> None:
    assert trained_steps(single.output) == [32, 64, 96]
    assert (end(single.output).status, end(single.output).reason) == ("KILLED", "interrupted")
    assert read_checkpoint_policy(single.output, "last")[1].steps == 96
    assert not (single.output / "policy").exists()
    assert (single.output / "run.log").read_text().endswith("  killed: interrupted\n")


def test_interrupted_run_is_killed_in_mlflow(single: Done) -> None:
    (run,) = single.store.runs.values()
    assert run.info.status == "KILLED"
    assert run.data.tags["pgexp.reason"] == "interrupted"
    kept = single.store.artifacts(run.info.run_name)
    assert "metrics.parquet" in kept
    assert not any(path.startswith("policy/") for path in kept)  # it has no final policy


@pytest.mark.slow
def test_terminated_sweep_prints_one_line(sweep: Done) -> None:
    assert (sweep.answer.code, sweep.answer.err) == (130, MESSAGE)


@pytest.mark.slow
def test_terminated_sweep_keeps_finished_runs(sweep: Done) -> None:
    for number in (0, 1):
        assert trained_steps(sweep.job(number)) == [32, 64, 96, 128, 160, 160]
        assert end(sweep.job(number)).status == "FINISHED"


@pytest.mark.slow
def test_terminated_sweep_keeps_the_checkpoint_in_training(sweep: Done) -> None:
    assert trained_steps(sweep.job(2)) == [32, 64, 96]
    assert end(sweep.job(2)).status == "KILLED"
    assert read_checkpoint_policy(sweep.job(2), "last")[1].steps == 96
    assert not (sweep.job(2) / "policy").exists()


@pytest.mark.slow
def test_terminated_sweep_has_no_rows_of_later_runs(sweep: Done) -> None:
    for number in (3, 4, 5):
        assert not (sweep.job(number) / "rows.jsonl").exists()
        assert not (sweep.job(number) / "checkpoint").exists()


@pytest.mark.slow
def test_statuses_in_mlflow_of_a_terminated_sweep(sweep: Done) -> None:
    statuses = {"none": "FINISHED", "SIGTERM": "KILLED", "later": "KILLED"}
    runs = {f"deed={deed} seed={seed}": status for deed, status in statuses.items() for seed in (0, 1)}
    configurations = {f"deed={deed}": status for deed, status in statuses.items()}
    found = sweep.store.statuses
    assert found.items() >= (runs | configurations).items()
    assert [status for name, status in found.items() if name not in runs | configurations] == ["KILLED"]
