"""The study that a search is kept in: what it is of, what it knows, and how it goes on after a stop."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import fmean
from typing import Any, Literal

import optuna
from optuna.distributions import check_distribution_compatibility
from optuna.pruners import BasePruner
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from pgexp.cli.searching.distributions import Value
from pgexp.cli.searching.samplers import GRID
from pgexp.cli.searching.settings import KEY, Settings
from pgexp.cli.searching.space import Space
from pgexp.cli.searching.storage import stored
from pgexp.schema.errors import ConfigError, Problem
from pgexp.storage.secrets import masked

SCORES = "scores"  # attribute of a trial that has ended: the score of each run, null if it failed; pruned: none
PLACE = "place"  # the attribute of a trial that was asked for: its number among those that come to their end
_OF = "search"  # the attribute of a study: what it is a search of

Scores = Sequence[float | None]
Direction = Literal["maximize", "minimize"]


def described(config: Mapping[str, Any], space: Space, settings: Settings) -> dict[str, Any]:
    """Return what tells a search's values apart from another's: whatever its jobs share that may decide them.

    `config` is what Hydra composed without what is swept, as plain mappings and values. Secrets are masked.
    """
    aside = ("hydra", "sweep", "workers", "tracking", "registry", "checkpoint")
    of = {name: value for name, value in config.items() if name not in aside}
    of["sweep.objective"] = config["sweep"]["objective"]
    of[f"{KEY}.sampler"] = GRID if settings.sampler == GRID else "another than grid"
    if space.seeds:
        of["seed"] = list(space.seeds)
    added = {key: text for key, text in space.added.items() if key.partition(".")[0] not in aside}
    grid = {key: repr(found) for key, found in space.searched.items()} if settings.sampler == GRID else {}
    found: dict[str, Any] = masked(of | added | grid)
    return found


def study_name(settings: Settings, of: Mapping[str, Any], space: Space) -> str:
    """Return the name that is set, or one that an equal search has again."""
    if settings.study is not None:
        return settings.study
    searched = {key: repr(found) for key, found in space.searched.items()}
    text = json.dumps([of, searched, settings.sampler, settings.seed], sort_keys=True)
    return f"pgexp-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


@contextmanager
def opened(
    url: str, name: str, direction: Direction, of: Mapping[str, Any], space: Space, pruner: BasePruner
) -> Iterator[Study]:
    """Open a study, or create it.

    Raises ConfigError where another command has it open, or it is of another search. A study that was made here and is
    left by an error without a trial that was told is removed again.
    """
    with stored(url) as storage:
        study = optuna.create_study(
            storage=storage, pruner=pruner, study_name=name, direction=direction, load_if_exists=True
        )
        _require_same(study, of)
        _require_compatible(study, space)
        _end(study)
        try:
            yield study
        except ConfigError:
            if not told(study):
                optuna.delete_study(study_name=name, storage=storage)
            raise


def told(study: Study) -> list[FrozenTrial]:
    """Return the trials that have come to their end, failed ones included; what a kill cut off has not."""
    return [trial for trial in study.get_trials(deepcopy=False) if SCORES in trial.user_attrs and _is_over(trial)]


def _is_over(trial: FrozenTrial) -> bool:
    return trial.state in (TrialState.COMPLETE, TrialState.FAIL, TrialState.PRUNED)


def _require_same(study: Study, of: Mapping[str, Any]) -> None:
    """Raise ConfigError where a study's values are not those of this search; a new study is made one of it."""
    known = study.user_attrs.get(_OF)
    if known is None and not study.get_trials(deepcopy=False):
        study.set_user_attr(_OF, dict(of))
        return
    if known is None:
        raise ConfigError([Problem(f"{KEY}.study", f"{study.study_name} was not made by pgexp; choose another name")])
    remedy = "give back what it had, or choose another hydra.sweeper.study"
    text = f"the study {study.study_name} has {{}}, and this search {{}}; {remedy}"
    before, now = _flat(known), _flat(json.loads(json.dumps(of)))
    differing = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    if differing:
        pairs = [(key, before.get(key, "none"), now.get(key, "none")) for key in differing]
        raise ConfigError([Problem(key, text.format(had, has)) for key, had, has in pairs])


def _flat(value: Any, key: str = "") -> dict[str, Any]:
    """Return a nested mapping's values by their dotted keys."""
    if not isinstance(value, Mapping):
        return {key.removeprefix("."): value}
    return {name: inner for part, item in value.items() for name, inner in _flat(item, f"{key}.{part}").items()}


def _require_compatible(study: Study, space: Space) -> None:
    """Raise ConfigError where a study's keys are not the searched ones, or are searched in another manner."""
    problems = {}
    for trial in told(study):
        known = trial.distributions
        for key in known.keys() ^ space.searched.keys():
            problems[key] = "is searched here, and not in the study" if key not in known else "is not searched here"
        for key in known.keys() & space.searched.keys():
            try:
                check_distribution_compatibility(known[key], space.searched[key])
            except ValueError:
                problems[key] = f"the study has {known[key]}; only the ends of a range or an interval may be moved"
    if problems:
        remedy = f"give back what {study.study_name} had, or choose another hydra.sweeper.study"
        raise ConfigError([Problem(key, f"{text}; {remedy}") for key, text in problems.items()])


def settle(study: Study, trial: Trial | int, scores: Scores) -> None:
    """Tell the end of a trial whose runs came to these scores, None where one failed: the mean is its value.

    A trial of which a run failed has failed. The mean of those that are left would be that of the lucky seeds, and the
    search would be drawn to values with which runs diverge now and then.
    """
    valid = [score for score in scores if score is not None]
    if len(valid) == len(scores):
        study.tell(trial, fmean(valid))
    else:
        study.tell(trial, state=TrialState.FAIL)


def _end(study: Study) -> None:
    """Bring what a kill cut off to an end: a trial whose runs had ended is told, any other is marked as failed."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if trial.user_attrs.get(SCORES):
            settle(study, trial.number, trial.user_attrs[SCORES])
        elif SCORES in trial.user_attrs:
            study.tell(trial.number, state=TrialState.PRUNED)
        else:
            study.tell(trial.number, state=TrialState.FAIL)


def cut_off(study: Study, space: Space) -> dict[int, dict[str, Value]]:
    """Return the values of the trials that a kill cut off, by their places in the search."""
    return {
        trial.user_attrs[PLACE]: trial.params
        for trial in study.get_trials(deepcopy=False, states=(TrialState.FAIL,))
        if PLACE in trial.user_attrs and SCORES not in trial.user_attrs and trial.distributions == space.searched
    }
