"""Optuna's samplers and pruners, by the names in `hydra.sweeper.sampler` and `sweep.pruner`."""

import inspect
import itertools
import warnings
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, Literal

import optuna
from numpy.random import SeedSequence
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, PartialFixedSampler, RandomSampler

from pgexp.cli.searching.distributions import Value, grid_values
from pgexp.cli.searching.settings import KEY, Settings
from pgexp.schema.errors import ConfigError, Problem, unknown

GRID = "grid"

# The class of each, and arguments for a search that asks while other trials train, and prints nothing on stderr.
_CLASSES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "tpe": ("TPESampler", {"constant_liar": True}),  # trials in training count as bad ones
    "random": ("RandomSampler", {}),
    "gp": ("GPSampler", {"warn_independent_sampling": False}),
    "qmc": ("QMCSampler", {"scramble": True, "warn_independent_sampling": False}),
    "cmaes": ("CmaEsSampler", {"warn_independent_sampling": False}),
}


def make_sampler(settings: Settings, place: int, point: Mapping[str, Value] | None = None) -> BaseSampler:
    """Return what suggests a search's trial of that place, or the point where one is given. Raises ConfigError.

    Each trial has a stream of its own, so that a search that was stopped and goes on does not draw again what it drew.
    """
    seed = int(SeedSequence((settings.seed, place)).generate_state(1)[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # that Optuna may change it yet is nothing to act on
        sampler = RandomSampler(seed) if settings.sampler == GRID else _made(settings, seed)
        return sampler if point is None else PartialFixedSampler(dict(point), sampler)


def _made(settings: Settings, seed: int) -> BaseSampler:
    name, own = _CLASSES[settings.sampler]
    sampler: type[BaseSampler] = getattr(optuna.samplers, name)
    _require_known(settings, [parameter for parameter in inspect.signature(sampler).parameters if parameter != "seed"])
    if settings.sampler == "cmaes" and find_spec("cmaes") is None:
        text = "given cmaes; needs the package of that name: pip install 'pgexp[optuna]'"
        raise ConfigError([Problem(f"{KEY}.sampler", text)])
    given = {**own, **settings.sampler_kwargs, "seed": seed}
    if settings.sampler == "qmc":  # one sequence for all trials, told apart by their places in it
        given = {"independent_sampler": RandomSampler(seed), **given, "seed": settings.seed}
    try:
        return sampler(**given)
    except (TypeError, ValueError) as error:
        raise ConfigError([Problem(f"{KEY}.sampler_kwargs", f"{name} refuses them: {error}")]) from error


def _require_known(settings: Settings, known: list[str]) -> None:
    wrong = {name: value for name, value in settings.sampler_kwargs.items() if name not in known}
    if wrong:
        raise ConfigError([unknown(f"{KEY}.sampler_kwargs.{name}", value, known) for name, value in wrong.items()])


def make_pruner(name: Literal["none", "median", "successive_halving"]) -> BasePruner:
    """Return a pruner, whose steps are the numbers of a trial's evaluations, from 1."""
    if name == "median":
        return MedianPruner()
    return SuccessiveHalvingPruner(min_resource=1) if name == "successive_halving" else NopPruner()


def grid(searched: Mapping[str, BaseDistribution]) -> list[dict[str, Value]]:
    """Return every point of a space, the last key changing fastest. Raises ConfigError where they can't be counted."""
    values = [grid_values(key, found) for key, found in searched.items()]
    return [dict(zip(searched, point, strict=True)) for point in itertools.product(*values)]
