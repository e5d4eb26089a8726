"""Results of a command's runs, and the runs that need no training because an equal run has finished before."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pgexp.algorithms.evaluator import EvaluationResult
from pgexp.execution.jobs import Job
from pgexp.runs.manifest import SweepManifest
from pgexp.runs.run_index import FinishedRun, Key
from pgexp.runs.run_log import End, Row, RunLogReader, RunState
from pgexp.schema.identity import run_key
from pgexp.schema.names import ROWS_FILE
from pgexp.tracking.exporter import ExporterState


@dataclass(frozen=True)
class RunResult:
    """Result of a run, read from its folder."""

    folder: Path
    end: End | None  # None: the run has not begun, or the process that trained it was killed
    metrics: Mapping[str, float]  # the latest value of each
    final_evaluation: EvaluationResult | None = None  # if this process made it

    @property
    def is_finished(self) -> bool:
        """Whether the run has spent its budget."""
        return self.end is not None and self.end.status == RunState.FINISHED

    @property
    def failure(self) -> str | None:
        """The reason why the run failed, or None."""
        return self.end.reason if self.end is not None and self.end.status == RunState.FAILED else None


@dataclass(frozen=True)
class SweepResult:
    """Results of a command's jobs, in their order, its manifest, and the state of its export to MLflow."""

    results: Sequence[RunResult]
    manifest: SweepManifest
    export: ExporterState
    reused: int = 0  # jobs that had finished before

    @property
    def has_failed(self) -> bool:
        """Whether a run failed."""
        return any(result.failure is not None for result in self.results)


def read_result(folder: Path, final_evaluation: EvaluationResult | None = None) -> RunResult:
    """Return the result of a run. Raises ValueError with the file and line if the run log is damaged."""
    metrics: dict[str, float] = {}
    end = None
    for item in RunLogReader(folder / ROWS_FILE).read():
        end = item if isinstance(item, End) else None
        if isinstance(item, Row):
            metrics |= item.metrics
    return RunResult(folder, end, metrics, final_evaluation)


@dataclass(frozen=True)
class CacheSplit:
    """A sweep's jobs by index: those to train, and those that have finished before."""

    new: Sequence[int]
    cached: Mapping[int, FinishedRun]
    results: Mapping[int, RunResult]  # of the cached ones


def split_cached(jobs: Sequence[Job], code: str, finished: Mapping[Key, FinishedRun], metric: str) -> CacheSplit:
    """Split jobs into new ones and those that have finished before.

    A finished run counts only if its value of `metric` is known. Runs that also make a video or a registered model are
    trained again.
    """
    cached: dict[int, FinishedRun] = {}
    results: dict[int, RunResult] = {}
    for index, job in enumerate(jobs):
        run = finished.get((run_key(job.config), code))
        if run is None or job.config.evaluation.video or job.config.registry.name is not None:
            continue
        result = _cached_result(run, metric)
        if result is not None:
            cached[index], results[index] = run, result
    return CacheSplit([index for index in range(len(jobs)) if index not in cached], cached, results)


def _cached_result(run: FinishedRun, metric: str) -> RunResult | None:
    """Return the result of a finished run, or None if its folder is lost or damaged, or lacks the metric."""
    if not run.is_intact():
        return None
    with suppress(ValueError):  # the run log is damaged
        result = read_result(Path(run.folder))
        return result if result.is_finished and metric in result.metrics else None
    return None
