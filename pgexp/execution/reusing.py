"""Which jobs of a sweep need no training, since a run of the same key and the same code has finished before."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pgexp.execution.plan import Job
from pgexp.execution.report import Result, read_result
from pgexp.schema.identity import run_key
from pgexp.schema.names import ROWS_FILE
from pgexp.storage.finished import FinishedRun, Key
from pgexp.storage.record import Record, ReusedRun, RunRecord
from pgexp.storage.spool import End


@dataclass(frozen=True)
class Reuse:
    """A sweep's jobs, by index: those that are left to train, and those that have finished before."""

    left: Sequence[int]
    finished: Mapping[int, FinishedRun]
    results: Mapping[int, Result]  # of those


def told_apart(jobs: Sequence[Job], code: str, known: Mapping[Key, FinishedRun], metric: str) -> Reuse:
    """Return which jobs are left. A run counts as finished if it can be told what `metric` came to.

    What a run leaves beside its numbers, a film say, is not known, and made anew.
    """
    finished: dict[int, FinishedRun] = {}
    results: dict[int, Result] = {}
    for index, job in enumerate(jobs):
        run = known.get((run_key(job.config), code))
        if run is None or job.config.evaluation.video or job.config.registry.name is not None:
            continue
        result = _result_of(run, metric)
        if result is not None:
            finished[index], results[index] = run, result
    return Reuse([index for index in range(len(jobs)) if index not in finished], finished, results)


def finished_of(written: Record, code: str) -> dict[Key, FinishedRun]:
    """Return the runs of a sweep's own record that have finished: it grows, and may come to the same run again."""
    found: dict[Key, FinishedRun] = {}
    for run in written.runs:
        folder = written.folder_of(run)
        result = read_result(folder)
        if result.is_done:
            found[run.key, code] = FinishedRun(
                key=run.key,
                code=code,
                record=run.record,
                run_id="",  # the sink knows it
                folder=str(folder),
                seed=run.seed,
                configuration=run.configuration,
                metrics=dict(result.values),
            )
    return found


def _result_of(run: FinishedRun, metric: str) -> Result | None:
    """Return what became of a run: by its folder, or where that is gone by the store, if that has the metric."""
    folder = Path(run.folder)
    if not (folder / ROWS_FILE).is_file():
        return Result(folder, End("FINISHED", 0, complete=True), run.metrics) if metric in run.metrics else None
    with suppress(ValueError):  # its record is damaged
        return read_result(folder)
    return None


def reused(run: RunRecord, found: FinishedRun) -> ReusedRun:
    """Return the record of a job as that of a run that has finished before."""
    return ReusedRun(
        folder=found.folder,
        record=found.record,
        run_id=found.run_id,
        name=run.name,
        key=run.key,
        configuration=run.configuration,
        configuration_name=run.configuration_name,
        seed=run.seed,
        params=run.params,
        score=found.score,
    )
