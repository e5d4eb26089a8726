"""Search loop: asks Optuna for trials, trains their runs, and reports the scores to Optuna."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import optuna
from hydra.types import HydraContext
from omegaconf import DictConfig
from optuna.trial import Trial
from rich.console import Console

from pgexp.cli.compose import Composer, JobPlanner, shared_folder_error
from pgexp.cli.entrypoint import print_plain
from pgexp.cli.search.results import print_results, progress_line, write_results
from pgexp.cli.search.space import KEY, SearchSettings, Space
from pgexp.cli.search.study import Pruning, Trials, describe, make_pruner, open_study, storage_url, study_name
from pgexp.execution.jobs import Job
from pgexp.runs.run_log import Row, RunLogReader
from pgexp.runs.secrets import mask_uri
from pgexp.schema import names
from pgexp.schema.errors import UserError
from pgexp.schema.names import ROWS_FILE
from pgexp.schema.sweep import Sweep

if TYPE_CHECKING:
    from pgexp.execution.training import GrowingSweep


class Trainer(Protocol):
    """Trainer of the runs of trials."""

    def expect(self, runs: int) -> None:
        """Set the total number of runs, for the progress display."""

    @property
    def needs_more(self) -> bool:
        """Whether more runs could train at the same time."""

    def start(self, jobs: Sequence[Sequence[str]]) -> Sequence[int]:
        """Queue runs by their overrides. Return their numbers."""

    def advance(self) -> Mapping[int, float | None]:
        """Return the scores of the runs that have ended since the last call, None for a run without a score."""

    def evaluations(self, run: int) -> Mapping[int, float] | None:
        """Return the scores of a run's evaluations by number, from 1. None if the run has not started."""

    def prune(self, runs: Sequence[int]) -> None:
        """Stop runs for good. `advance` returns them when they have stopped."""

    @property
    def has_failed(self) -> bool:
        """Whether a run has failed."""


@dataclass
class _Started:
    """A trial in training: its runs, their scores so far, and the decision about pruning."""

    trial: Trial
    runs: Sequence[int]
    pruning: Pruning
    scores: dict[int, float | None] = field(default_factory=dict)
    is_pruned: bool = False


@dataclass(frozen=True)
class Search:
    """A search, in the sweep's folder."""

    settings: SearchSettings
    sweep: Sweep
    space: Space
    folder: Path

    def run(self, trainer: Trainer, config: Mapping[str, Any], arguments: Sequence[str], console: Console) -> None:
        """Search. Print a line per trial, and the best trials at the end. Raises UserError.

        Args:
            trainer: trains the runs.
            config: the composed config without the swept keys.
            arguments: all arguments of the command.
            console: for output.
        """
        description = describe(config, self.space, self.settings)
        url = storage_url(self.settings, self.folder)
        name = study_name(self.settings, description, self.space)
        pruner = make_pruner(self.sweep.pruner)
        with open_study(url, name, self.sweep.objective.direction, description, self.space, pruner) as study:
            trials = Trials(study, self.space, self.settings)
            print_plain(console, self._study_line(name, url))
            self._train(trials, trainer, console)
            print_results(trials, self.space, self.sweep.objective.metric, arguments, console)

    def check(self) -> None:
        """Raise UserError if the sampler's settings are wrong, or if it cannot search this space."""
        Trials(optuna.create_study(), self.space, self.settings)

    def first_trial(self) -> tuple[list[list[str]], int]:
        """Return the overrides of the first trial's runs, and the number of trials. Nothing is stored."""
        trials = Trials(optuna.create_study(), self.space, self.settings)
        return self.space.jobs(trials.ask().params), trials.total

    def _train(self, trials: Trials, trainer: Trainer, console: Console) -> None:
        """Train all trials. Raises the last trial's UserError if no trial could be trained."""
        started: list[_Started] = []
        has_trained, error = False, None
        trainer.expect(trials.left * self.space.runs)
        while (trials.left or started) and not (self.sweep.fail_fast and trainer.has_failed):
            while trials.left and (not started or trainer.needs_more):
                trial = trials.ask()
                jobs = self.space.jobs(trial.params)
                try:
                    started.append(_Started(trial, trainer.start(jobs), Pruning(trial)))
                    has_trained = True
                except UserError as user_error:  # the values exclude each other; those of other trials may not
                    trials.end(trial, [None] * len(jobs))
                    print_plain(console, f"trial {trial.number} cannot be trained: {user_error}")
                    error = user_error
            self._prune(started, trainer)
            ended = trainer.advance() if started else {}
            for each in [*started]:
                each.scores |= {run: score for run, score in ended.items() if run in each.runs}
                if len(each.scores) == len(each.runs):
                    started.remove(each)
                    if each.is_pruned and None in each.scores.values():
                        trials.end_pruned(each.trial)
                    else:  # its runs may have ended before they could be stopped
                        trials.end(each.trial, [each.scores[run] for run in each.runs])
                    write_results(trials, self.space, self.folder)
                    print_plain(console, progress_line(trials, self.space))
        if error is not None and not has_trained:
            raise error

    def _prune(self, started: Sequence[_Started], trainer: Trainer) -> None:
        for each in started if self.sweep.pruner != "none" else ():
            if each.is_pruned:
                continue
            found = [trainer.evaluations(run) for run in each.runs]
            each.is_pruned = each.pruning.is_pruned([values for values in found if values is not None])
            if each.is_pruned:
                trainer.prune([run for run in each.runs if run not in each.scores])

    def _study_line(self, name: str, url: str) -> str:
        text = f"study   {name} in {mask_uri(url)}. To continue it, repeat the command"
        if self.settings.storage is not None:
            return text
        return f"{text} with {KEY}.storage={url.removeprefix('sqlite:///')}"


class SweepTrainer:
    """Trainer that adds the runs of trials to one growing sweep, see `Trainer`."""

    def __init__(self, context: HydraContext, config: DictConfig, sweep: "GrowingSweep", metric: str) -> None:
        """config: the composed config without the searched keys. metric: the objective."""
        self._composer, self._planner = Composer(context.config_loader, config), JobPlanner(context)
        self._sweep, self._metric = sweep, metric
        self._jobs: dict[int, Job] = {}
        self._started = 0
        self._numbers: dict[Path, int] = {}
        self._evaluations: dict[int, _Evaluations] = {}
        self.has_failed = False

    def expect(self, runs: int) -> None:
        """Set the total number of runs, for the progress display."""
        self._sweep.runs = runs

    @property
    def needs_more(self) -> bool:
        """Whether more runs could train at the same time."""
        return self._sweep.needs_more

    def start(self, jobs: Sequence[Sequence[str]]) -> Sequence[int]:
        """Compose and queue runs. Return their numbers. Raises UserError."""
        first = self._started
        self._started += len(jobs)  # refused jobs leave folders, whose numbers are not used again
        planned: dict[int, Job] = {}
        for number, overrides in enumerate(jobs, first):
            job, _ = self._planner.plan(self._composer.compose(overrides, number))
            if job.folder in self._numbers or job.folder in (other.folder for other in planned.values()):
                raise shared_folder_error()
            planned[number] = job
        self._sweep.add(list(planned.values()))
        for number, job in planned.items():
            self._jobs[number] = job
            self._numbers[job.folder] = number
            self._evaluations[number] = _Evaluations(job, self._metric)
        return list(planned)

    def advance(self) -> Mapping[int, float | None]:
        """Return the scores of the runs that have ended since the last call, None for a run without a score."""
        ended = self._sweep.advance()
        self.has_failed |= any(result.failure is not None for _, result in ended)
        return {self._numbers[job.folder]: result.metrics.get(self._metric) for job, result in ended}

    def evaluations(self, run: int) -> Mapping[int, float] | None:
        """Return the scores of a run's evaluations by number, from 1. None if the run has not started."""
        return self._evaluations[run].read()

    def prune(self, runs: Sequence[int]) -> None:
        """Stop runs for good. `advance` returns them when they have stopped."""
        self._sweep.prune([self._jobs[run] for run in runs])


class _Evaluations:
    """Objective at the evaluations of a run, read from its growing log."""

    def __init__(self, job: Job, metric: str) -> None:
        self._reader = RunLogReader(job.folder / ROWS_FILE)
        self._every = job.config.evaluation.every or 1
        self._metric = intermediate_metric(metric)
        self._values: dict[int, float] = {}
        self._has_started = False

    def read(self) -> Mapping[int, float] | None:
        for item in self._reader.read():
            self._has_started = True
            if isinstance(item, Row) and self._metric in item.metrics:
                self._values[item.steps // self._every] = item.metrics[self._metric]
        return self._values if self._has_started else None


def intermediate_metric(metric: str) -> str:
    """Return the metric of evaluations during training that corresponds to a metric of the final evaluation."""
    return metric.replace(f"{names.FINAL}/", f"{names.EVALUATION}/", 1)
