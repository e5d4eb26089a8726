"""Optuna study of a search: its storage, samplers and trials, and its continuation after an interruption."""

import hashlib
import inspect
import itertools
import json
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean
from typing import Any, Final, Literal

import optuna
from numpy.random import SeedSequence
from optuna.distributions import BaseDistribution, check_distribution_compatibility
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, PartialFixedSampler, RandomSampler
from optuna.storages import BaseStorage, RDBStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from pgexp.cli.search.space import KEY, SearchSettings, Space, Value, grid_values
from pgexp.runs.locking import LockedError, lock
from pgexp.runs.secrets import mask_uri, masked
from pgexp.schema.errors import Problem, UserError, unknown_key

STUDY_FILE: Final = "study.db"
SCORES: Final = "scores"  # attribute of an ended trial: the score of each run, null if it failed; empty if pruned
PLACE: Final = "place"  # attribute of a trial: its number among the trials of the search
_SEARCH: Final = "search"  # attribute of a study: the description of its search
_GRID: Final = "grid"
_NOT_DESCRIBED: Final = ("hydra", "sweep", "workers", "tracking", "registry", "checkpoint")

Scores = Sequence[float | None]
Direction = Literal["maximize", "minimize"]

# The class of each sampler, and arguments for concurrent trials and against warnings.
_SAMPLERS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "tpe": ("TPESampler", {"constant_liar": True}),  # trials in training count as bad ones
    "random": ("RandomSampler", {}),
    "gp": ("GPSampler", {"warn_independent_sampling": False}),
    "qmc": ("QMCSampler", {"scramble": True, "warn_independent_sampling": False}),
    "cmaes": ("CmaEsSampler", {"warn_independent_sampling": False}),
}


def make_sampler(settings: SearchSettings, place: int, point: Mapping[str, Value] | None = None) -> BaseSampler:
    """Return the sampler of one trial, or a sampler of a fixed point. Raises UserError.

    Each trial has its own random stream, so that a continued search does not repeat draws.
    """
    seed = int(SeedSequence((settings.seed, place)).generate_state(1)[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        sampler = RandomSampler(seed) if settings.sampler == _GRID else _make_optuna_sampler(settings, seed)
        return sampler if point is None else PartialFixedSampler(dict(point), sampler)


def _make_optuna_sampler(settings: SearchSettings, seed: int) -> BaseSampler:
    name, defaults = _SAMPLERS[settings.sampler]
    sampler: type[BaseSampler] = getattr(optuna.samplers, name)
    known = [parameter for parameter in inspect.signature(sampler).parameters if parameter != "seed"]
    wrong = {name: value for name, value in settings.sampler_kwargs.items() if name not in known}
    if wrong:
        raise UserError([unknown_key(f"{KEY}.sampler_kwargs.{name}", value, known) for name, value in wrong.items()])
    if settings.sampler == "cmaes" and find_spec("cmaes") is None:
        raise UserError.at(f"{KEY}.sampler", "needs the package cmaes (got cmaes). Run: pip install 'pgexp[optuna]'")
    arguments = {**defaults, **settings.sampler_kwargs, "seed": seed}
    if settings.sampler == "qmc":  # all trials share one sequence
        arguments = {"independent_sampler": RandomSampler(seed), **arguments, "seed": settings.seed}
    try:
        return sampler(**arguments)
    except (TypeError, ValueError) as error:
        raise UserError.at(f"{KEY}.sampler_kwargs", f"{name} refuses them: {error}") from error


def make_pruner(name: Literal["none", "median", "successive_halving"]) -> BasePruner:
    """Return a pruner. Its steps are the numbers of a trial's evaluations, from 1."""
    if name == "median":
        return MedianPruner()
    return SuccessiveHalvingPruner(min_resource=1) if name == "successive_halving" else NopPruner()


def grid(searched: Mapping[str, BaseDistribution]) -> list[dict[str, Value]]:
    """Return every point of a space, the last key changing fastest. Raises UserError if it is not finite."""
    values = [grid_values(key, found) for key, found in searched.items()]
    return [dict(zip(searched, point, strict=True)) for point in itertools.product(*values)]


def storage_url(settings: SearchSettings, folder: Path) -> str:
    """Return the Optuna URL of the storage: the one in the settings, or a file in the sweep's folder."""
    storage = str(folder / STUDY_FILE) if settings.storage is None else settings.storage
    return storage if "://" in storage else f"sqlite:///{storage}"


@contextmanager
def _open_storage(url: str) -> Iterator[BaseStorage]:
    """Open a storage. Raises UserError if that fails, or if another command uses its file."""
    with _lock(url):
        try:
            storage = optuna.storages.get_storage(RDBStorage(url))
        except (SQLAlchemyError, ImportError, RuntimeError, ValueError) as error:
            raise _storage_error(url, error) from error
        yield storage


def _lock(url: str) -> AbstractContextManager[object]:
    """Return a context with the lock of a storage that is a file. Raises UserError if another command holds it."""
    file = _storage_file(url)
    if file is None:
        return nullcontext()
    with ExitStack() as stack:
        try:
            stack.enter_context(lock(file.with_name(f"{file.name}.lock")))
        except LockedError as error:
            text = f"{error}, which searches there. Wait for it, or choose another storage"
            raise UserError.at(f"{KEY}.storage", text) from error
        except OSError as error:
            raise _storage_error(url, error) from error
        return stack.pop_all()


def _storage_file(url: str) -> Path | None:
    try:
        parsed = make_url(url)
    except SQLAlchemyError as error:
        raise _storage_error(url, error) from error
    if parsed.get_backend_name() != "sqlite" or parsed.database in (None, "", ":memory:"):
        return None
    return Path(parsed.database)


def _storage_error(url: str, error: Exception) -> UserError:
    lines = str(error).splitlines() or [type(error).__name__]
    hint = "Use an Optuna URL such as sqlite:///studies.db, or the path of an SQLite file"
    return UserError.at(f"{KEY}.storage", f"cannot be opened: {mask_uri(lines[0])} (got {mask_uri(url)}). {hint}")


def describe(config: Mapping[str, Any], space: Space, settings: SearchSettings) -> dict[str, Any]:
    """Return a description of a search: the fields that determine its scores. Secrets are masked.

    `config` is the composed config without the swept keys, as plain mappings and values.
    """
    fields = {name: value for name, value in config.items() if name not in _NOT_DESCRIBED}
    fields["sweep.objective"] = config["sweep"]["objective"]
    fields[f"{KEY}.sampler"] = _GRID if settings.sampler == _GRID else "another than grid"
    if space.seeds:
        fields["seed"] = list(space.seeds)
    added = {key: text for key, text in space.added.items() if key.partition(".")[0] not in _NOT_DESCRIBED}
    searched = {key: repr(found) for key, found in space.searched.items()} if settings.sampler == _GRID else {}
    description: dict[str, Any] = masked(fields | added | searched)
    return description


def study_name(settings: SearchSettings, description: Mapping[str, Any], space: Space) -> str:
    """Return the name in the settings, or one that an equal search has, too."""
    if settings.study is not None:
        return settings.study
    searched = {key: repr(found) for key, found in space.searched.items()}
    text = json.dumps([description, searched, settings.sampler, settings.seed], sort_keys=True)
    return f"pgexp-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


@contextmanager
def open_study(
    url: str, name: str, direction: Direction, description: Mapping[str, Any], space: Space, pruner: BasePruner
) -> Iterator[Study]:
    """Open or create a study.

    Raises UserError if another command uses it, or if it belongs to another search. A study without an ended trial is
    deleted after a UserError.
    """
    with _open_storage(url) as storage:
        study = optuna.create_study(
            storage=storage, pruner=pruner, study_name=name, direction=direction, load_if_exists=True
        )
        _require_same_search(study, description)
        _require_compatible(study, space)
        _end_interrupted_trials(study)
        try:
            yield study
        except UserError:
            if not ended_trials(study):
                optuna.delete_study(study_name=name, storage=storage)
            raise


def ended_trials(study: Study) -> list[FrozenTrial]:
    """Return the trials that have ended, including failed ones, but not those that a kill interrupted."""
    over = (TrialState.COMPLETE, TrialState.FAIL, TrialState.PRUNED)
    return [trial for trial in study.get_trials(deepcopy=False, states=over) if SCORES in trial.user_attrs]


def _require_same_search(study: Study, description: Mapping[str, Any]) -> None:
    """Raise UserError if a study belongs to another search. A new study is marked as belonging to this one."""
    recorded = study.user_attrs.get(_SEARCH)
    if recorded is None and not study.get_trials(deepcopy=False):
        study.set_user_attr(_SEARCH, dict(description))
        return
    if recorded is None:
        raise UserError.at(f"{KEY}.study", f"{study.study_name} was not created by pgexp. Choose another name")
    before, now = _flat(recorded), _flat(json.loads(json.dumps(description)))
    changed = {key: before.get(key, "none") for key in {**before, **now} if before.get(key) != now.get(key)}
    _raise_changed(study, {key: f"must be {value} (got {now.get(key, 'none')})" for key, value in changed.items()})


def _require_compatible(study: Study, space: Space) -> None:
    """Raise UserError if the searched keys of a study are others, or have other distributions."""
    problems = {}
    for trial in ended_trials(study):
        known = trial.distributions
        for key in known.keys() ^ space.searched.keys():
            problems[key] = "is new in the search" if key not in known else "must be searched"
        for key in known.keys() & space.searched.keys():
            try:
                check_distribution_compatibility(known[key], space.searched[key])
            except ValueError:
                problems[key] = f"must be {known[key]}; only the ends of a range or an interval may change"
    _raise_changed(study, problems)


def _raise_changed(study: Study, problems: Mapping[str, str]) -> None:
    """Raise UserError with some problems of a search that differs from its study, if there are any."""
    remedy = f"Restore the search of study {study.study_name}, or choose another hydra.sweeper.study"
    if problems:
        raise UserError([Problem(key, f"{text}. {remedy}") for key, text in problems.items()])


def _flat(value: Any, key: str = "") -> dict[str, Any]:
    """Return the values of a nested mapping by dotted key."""
    if not isinstance(value, Mapping):
        return {key.removeprefix("."): value}
    return {name: inner for part, item in value.items() for name, inner in _flat(item, f"{key}.{part}").items()}


def _end_trial(study: Study, trial: Trial | int, scores: Scores) -> None:
    """End a trial with the scores of its runs, None for a failed run. Its value is their mean.

    If a run has failed, the trial has failed. The mean of the other runs would be that of lucky seeds, and the search
    would prefer values with which runs sometimes diverge.
    """
    valid = [score for score in scores if score is not None]
    if len(valid) == len(scores):
        study.tell(trial, fmean(valid))
    else:
        study.tell(trial, state=TrialState.FAIL)


def _end_interrupted_trials(study: Study) -> None:
    """End the trials that a kill interrupted: with their scores if all runs had ended, else as failed."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if trial.user_attrs.get(SCORES):
            _end_trial(study, trial.number, trial.user_attrs[SCORES])
        elif SCORES in trial.user_attrs:
            study.tell(trial.number, state=TrialState.PRUNED)
        else:
            study.tell(trial.number, state=TrialState.FAIL)


class Trials:
    """Trials of a study, up to the number in the settings."""

    def __init__(self, study: Study, space: Space, settings: SearchSettings) -> None:
        self._study, self._space, self._settings = study, space, settings
        self._grid = grid(space.searched) if settings.sampler == _GRID else None
        points = 1 if not space.searched else settings.trials if self._grid is None else len(self._grid)
        self.total = min(settings.trials, points)
        make_sampler(settings, 0)  # raises UserError for wrong settings
        ended = {trial.user_attrs.get(PLACE) for trial in self.ended}
        self._places = [place for place in range(self.total) if place not in ended]
        self._interrupted = self._interrupted_points()

    @property
    def ended(self) -> list[FrozenTrial]:
        """The trials that have ended."""
        return ended_trials(self._study)

    @property
    def best(self) -> list[FrozenTrial]:
        """The trials with a value, the best first. A failed or pruned trial has none."""
        sign = -1 if self._study.direction.name == "MAXIMIZE" else 1
        valued = [
            (sign * trial.value, trial.number, trial)
            for trial in self.ended
            if trial.value is not None and trial.state == TrialState.COMPLETE
        ]
        return [trial for _, _, trial in sorted(valued, key=lambda item: item[:2])]

    @property
    def left(self) -> int:
        """The number of trials that have not started."""
        return len(self._places)

    def ask(self) -> Trial:
        """Return the next trial: a point of the grid, an interrupted trial, or a suggestion of the sampler."""
        place = self._places.pop(0)
        point = self._grid[place] if self._grid is not None else self._interrupted.get(place)
        self._study.sampler = make_sampler(self._settings, place, point)
        trial = self._study.ask(dict(self._space.searched))
        trial.set_user_attr(PLACE, place)
        return trial

    def end(self, trial: Trial, scores: Scores) -> None:
        """End a trial with the scores of its runs, None for a failed run. NaN and infinities count as failures."""
        valid = [score if score is not None and math.isfinite(score) else None for score in scores]
        trial.set_user_attr(SCORES, valid)
        _end_trial(self._study, trial, valid)

    def end_pruned(self, trial: Trial) -> None:
        """End a pruned trial."""
        trial.set_user_attr(SCORES, [])
        self._study.tell(trial, state=TrialState.PRUNED)

    def _interrupted_points(self) -> dict[int, dict[str, Value]]:
        """Return the values of the trials that a kill interrupted, by place."""
        return {
            trial.user_attrs[PLACE]: trial.params
            for trial in self._study.get_trials(deepcopy=False, states=(TrialState.FAIL,))
            if PLACE in trial.user_attrs
            and SCORES not in trial.user_attrs
            and trial.distributions == self._space.searched
        }


class Pruning:
    """Decision about pruning a trial, at each evaluation of its runs.

    The value of an evaluation is the mean over the runs that have it. It is reported when all started runs have it.
    """

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self._reported = 0

    def is_pruned(self, evaluations: Sequence[Mapping[int, float]]) -> bool:
        """Report new evaluations. Return whether the trial should be pruned.

        evaluations: per started run, its values by number of the evaluation, from 1.
        """
        reached = min((max(run, default=0) for run in evaluations), default=0)
        while self._reported < reached:
            self._reported += 1
            values = [run[self._reported] for run in evaluations if self._reported in run]
            if values and all(map(math.isfinite, values)):
                self._trial.report(sum(values) / len(values), self._reported)
                if self._trial.should_prune():
                    return True
        return False
