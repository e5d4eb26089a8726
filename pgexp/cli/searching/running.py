"""Search loop: asks Optuna for trials, trains their runs, and tells Optuna the results, trial by trial."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import optuna
from optuna.trial import Trial
from rich.console import Console

from pgexp.cli.searching.samplers import make_pruner
from pgexp.cli.searching.settings import KEY, Settings
from pgexp.cli.searching.space import Space
from pgexp.cli.searching.storage import storage_url
from pgexp.cli.searching.study import described, opened, study_name
from pgexp.cli.searching.telling import standing, tell_found, write_results
from pgexp.cli.searching.trials import Pruning, Trials
from pgexp.schema.errors import ConfigError
from pgexp.schema.sweep import Sweep
from pgexp.storage.secrets import mask_uri


class Trainer(Protocol):
    """Trains the runs of trials."""

    def begin(self, runs: int, look: Callable[[], None]) -> None:
        """Expect so many runs, and call a function about once per second while they train."""

    @property
    def needs_more(self) -> bool:
        """Whether more runs could train at once."""

    def start(self, jobs: Sequence[Sequence[str]]) -> Sequence[int]:
        """Queue runs by their overrides; return their numbers."""

    def advance(self) -> Mapping[int, float | None]:
        """Return the scores of the runs that have ended since the last call; None for a run that has none."""

    def evaluations(self, run: int) -> Mapping[int, float] | None:
        """Return what a run's evaluations reached, by their number from 1; None if it has not started."""

    def prune(self, runs: Sequence[int]) -> None:
        """Stop runs for good; `advance` returns them once they have stopped."""

    @property
    def has_failed(self) -> bool:
        """Whether a run failed."""


@dataclass
class _Started:
    """A trial in training: its runs, their scores so far, and what decides on pruning it."""

    trial: Trial
    runs: Sequence[int]
    pruning: Pruning
    scores: dict[int, float | None] = field(default_factory=dict)
    is_pruned: bool = False


@dataclass(frozen=True)
class Search:
    """A search, in the sweep's folder."""

    settings: Settings
    sweep: Sweep
    space: Space
    folder: Path

    def run(self, trainer: Trainer, config: Mapping[str, Any], words: Sequence[str], console: Console) -> None:
        """Search, and print the results of each trial, and at the end the best ones.

        `config` is what Hydra composed without the swept keys, `words` are all arguments of the command. Raises
        ConfigError.
        """
        of = described(config, self.space, self.settings)
        url = storage_url(self.settings, self.folder)
        name = study_name(self.settings, of, self.space)
        pruner = make_pruner(self.sweep.pruner)
        with opened(url, name, self.sweep.objective.direction, of, self.space, pruner) as study:
            trials = Trials(study, self.space, self.settings)
            console.print(self._place(name, url), markup=False, soft_wrap=True)
            self._train(trials, trainer, console)
            tell_found(trials, self.space, self.sweep.objective.metric, words, console)

    def check(self) -> None:
        """Raise ConfigError if the sampler's settings are wrong, or it cannot search this space."""
        Trials(optuna.create_study(), self.space, self.settings)

    def first(self) -> tuple[list[list[str]], int]:
        """Return the overrides of the first trial's runs, and the number of trials. Nothing is kept."""
        trials = Trials(optuna.create_study(), self.space, self.settings)
        return self.space.jobs(trials.ask().params), trials.wanted

    def _train(self, trials: Trials, trainer: Trainer, console: Console) -> None:
        """Train all trials. Raises the last trial's ConfigError if every trial was refused."""
        started: list[_Started] = []
        has_trained, refused = False, None
        trainer.begin(trials.left * self.space.runs, lambda: self._prune(started, trainer))
        while (trials.left or started) and not (self.sweep.fail_fast and trainer.has_failed):
            while trials.left and (not started or trainer.needs_more):
                trial = trials.ask()
                jobs = self.space.jobs(trial.params)
                try:
                    started.append(_Started(trial, trainer.start(jobs), Pruning(trial)))
                    has_trained = True
                except ConfigError as error:  # values that do not go together; those of other trials may
                    trials.tell(trial, [None] * len(jobs))
                    console.print(f"trial {trial.number} cannot be trained: {error}", markup=False, soft_wrap=True)
                    refused = error
            ended = trainer.advance() if started else {}
            for each in [*started]:
                each.scores |= {run: score for run, score in ended.items() if run in each.runs}
                if len(each.scores) == len(each.runs):
                    started.remove(each)
                    if each.is_pruned and None in each.scores.values():
                        trials.tell_pruned(each.trial)
                    else:  # its runs may have ended before they could be stopped
                        trials.tell(each.trial, [each.scores[run] for run in each.runs])
                    write_results(trials, self.space, self.folder)
                    console.print(standing(trials, self.space), markup=False, soft_wrap=True)
        if refused is not None and not has_trained:
            raise refused

    def _prune(self, started: Sequence[_Started], trainer: Trainer) -> None:
        for each in started if self.sweep.pruner != "none" else ():
            if each.is_pruned:
                continue
            found = [trainer.evaluations(run) for run in each.runs]
            each.is_pruned = each.pruning.is_pruned([values for values in found if values is not None])
            if each.is_pruned:
                trainer.prune([run for run in each.runs if run not in each.scores])

    def _place(self, name: str, url: str) -> str:
        text = f"study   {name} in {mask_uri(url)}; the same command continues it"
        if self.settings.storage is not None:
            return text
        return f"{text} with {KEY}.storage={url.removeprefix('sqlite:///')} added"
