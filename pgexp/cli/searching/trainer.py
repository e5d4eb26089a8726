"""Trainer of a search's runs: composes their jobs, and adds them to one growing sweep."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from hydra.types import HydraContext
from omegaconf import DictConfig

from pgexp.cli.composing import Composer
from pgexp.cli.job_folders import JobFolders, one_folder_for_several
from pgexp.execution.plan import Job
from pgexp.execution.training import GrowingSweep
from pgexp.schema import names
from pgexp.schema.names import ROWS_FILE
from pgexp.storage.spool import Row, SpoolReader


class SweepTrainer:
    """Trains runs by their overrides, see `running.Trainer`."""

    def __init__(self, context: HydraContext, config: DictConfig, sweep: GrowingSweep, metric: str) -> None:
        """config: what Hydra composed without the searched keys. metric: the objective."""
        self._composer, self._folders = Composer(context.config_loader, config), JobFolders(context)
        self._sweep, self._metric = sweep, metric
        self._jobs: dict[int, Job] = {}
        self._started = 0
        self._numbers: dict[Path, int] = {}
        self._evaluations: dict[int, _Evaluations] = {}
        self.has_failed = False

    def begin(self, runs: int, look: Callable[[], None]) -> None:
        """Expect so many runs, and call a function about once per second while they train."""
        self._sweep.runs, self._sweep.watch = runs, look

    @property
    def needs_more(self) -> bool:
        """Whether more runs could train at once."""
        return self._sweep.needs_more

    def start(self, jobs: Sequence[Sequence[str]]) -> Sequence[int]:
        """Compose and queue runs; return their numbers. Raises ConfigError."""
        first = self._started
        self._started += len(jobs)  # those that are refused leave folders, whose numbers are not used again
        made: dict[int, Job] = {}
        for number, overrides in enumerate(jobs, first):
            job, _ = self._folders.made(self._composer.compose(overrides, number))
            if job.folder in self._numbers or job.folder in (other.folder for other in made.values()):
                raise one_folder_for_several()
            made[number] = job
        self._sweep.add(list(made.values()))
        for number, job in made.items():
            self._jobs[number] = job
            self._numbers[job.folder] = number
            self._evaluations[number] = _Evaluations(job, self._metric)
        return list(made)

    def advance(self) -> Mapping[int, float | None]:
        """Return the scores of the runs that have ended since the last call; None for a run that has none."""
        over = self._sweep.advance()
        self.has_failed |= any(result.failure is not None for _, result in over)
        return {self._numbers[job.folder]: result.values.get(self._metric) for job, result in over}

    def evaluations(self, run: int) -> Mapping[int, float] | None:
        """Return what a run's evaluations reached, by their number from 1; None if it has not started."""
        return self._evaluations[run].read()

    def prune(self, runs: Sequence[int]) -> None:
        """Stop runs for good; `advance` returns them once they have stopped."""
        self._sweep.prune([self._jobs[run] for run in runs])


class _Evaluations:
    """The objective at the evaluations of a run, read from its folder as it grows."""

    def __init__(self, job: Job, metric: str) -> None:
        self._reader = SpoolReader(job.folder / ROWS_FILE)
        self._every = job.config.evaluation.every or 1
        self._metric = intermediate(metric)
        self._found: dict[int, float] = {}
        self._has_started = False

    def read(self) -> Mapping[int, float] | None:
        for item in self._reader.read():
            self._has_started = True
            if isinstance(item, Row) and self._metric in item.metrics:
                self._found[item.steps // self._every] = item.metrics[self._metric]
        return self._found if self._has_started else None


def intermediate(metric: str) -> str:
    """Return the metric of an evaluation that corresponds to a metric of the final one."""
    return metric.replace(f"{names.FINAL}/", f"{names.EVALUATION}/", 1)
