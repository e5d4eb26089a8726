"""Ctrl-C and SIGTERM during an update: the update is finished, the record stays readable, MLflow is updated."""

from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pgexp.execution.checkpoints import policy_of
from pgexp.storage.spool import End, SpoolReader
from tests.cli.conftest import CLOCK, Done
from tests.cli.console import Server
from tests.streams import episode_seed

WHEN = f"+env.kwargs.when={episode_seed(0, 'env', 0, 2)}"  # in seed 0's third batch
TOLD = "pgexp: interrupted; what was recorded until then is readable, and marked KILLED; pgexp-resume goes on with it\n"


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
    *_, last = SpoolReader(folder / "rows.jsonl").read()
    assert isinstance(last, End)
    return last


def trained_steps(folder: Path) -> list[int]:
    return pq.read_table(folder / "metrics.parquet")["steps"].to_pylist()


def test_an_interrupted_command_says_so_in_a_line(single: Done) -> None:
    assert (single.answer.code, single.answer.err) == (130, TOLD)


def test_an_interrupted_run_s_record_is_complete_up_to_then(single: Done) -> None:
    assert trained_steps(single.output) == [32, 64, 96]
    assert (end(single.output).status, end(single.output).reason) == ("KILLED", "interrupted")
    assert policy_of(single.output, "last")[1].steps == 96
    assert not (single.output / "policy").exists()
    assert (single.output / "run.log").read_text().endswith("  killed: interrupted\n")


def test_mlflow_knows_that_a_run_was_interrupted(single: Done) -> None:
    (run,) = single.store.runs.values()
    assert run.info.status == "KILLED"
    assert run.data.tags["pgexp.reason"] == "interrupted"
    assert run.data.metrics["progress/updates"] == 1  # a run that goes on may show the second, or a later one
    kept = single.store.artifacts(run.info.run_name)
    assert "metrics.parquet" in kept
    assert not any(path.startswith("policy/") for path in kept)  # it has not come to one


@pytest.mark.slow
def test_a_terminated_sweep_says_so_in_a_line(sweep: Done) -> None:
    assert (sweep.answer.code, sweep.answer.err) == (130, TOLD)


@pytest.mark.slow
def test_a_terminated_sweep_keeps_the_finished_runs(sweep: Done) -> None:
    for number in (0, 1):
        assert trained_steps(sweep.job(number)) == [32, 64, 96, 128, 160, 160]
        assert end(sweep.job(number)).status == "FINISHED"


@pytest.mark.slow
def test_a_terminated_sweep_keeps_the_checkpoint_of_the_run_in_training(sweep: Done) -> None:
    assert trained_steps(sweep.job(2)) == [32, 64, 96]
    assert end(sweep.job(2)).status == "KILLED"
    assert policy_of(sweep.job(2), "last")[1].steps == 96
    assert not (sweep.job(2) / "policy").exists()


@pytest.mark.slow
def test_a_terminated_sweep_has_no_rows_of_later_runs(sweep: Done) -> None:
    for number in (3, 4, 5):
        assert not (sweep.job(number) / "rows.jsonl").exists()
        assert not (sweep.job(number) / "checkpoint").exists()


@pytest.mark.slow
def test_mlflow_has_the_status_of_each_run_of_a_terminated_sweep(sweep: Done) -> None:
    statuses = {"none": "FINISHED", "SIGTERM": "KILLED", "later": "KILLED"}
    runs = {f"deed={deed} seed={seed}": status for deed, status in statuses.items() for seed in (0, 1)}
    configurations = {f"deed={deed}": status for deed, status in statuses.items()}
    found = sweep.store.statuses
    assert found.items() >= (runs | configurations).items()
    assert [status for name, status in found.items() if name not in runs | configurations] == ["KILLED"]
