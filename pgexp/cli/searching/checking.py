"""Finds what can't be trained before anything is: a search may come to it after hours."""

from collections.abc import Iterator

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, open_dict
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from pgexp.cli.config import typed
from pgexp.cli.searching.distributions import Value
from pgexp.cli.searching.space import Space


def require_trainable(space: Space, config: DictConfig, loader: ConfigLoader) -> None:
    """Raise what composing or checking a job raises: each choice is tried, and both ends of each range and interval.

    One key is changed at a time, the others have their first value; which of their values go together is not known.
    """
    for params in _corners(space):
        for overrides in space.jobs(params)[:1]:  # the other seeds were checked with the command's own values
            job = loader.load_sweep_config(config, overrides)
            choices = dict(job.hydra.runtime.choices)
            with open_dict(job):
                del job["hydra"]
            typed(job, choices)


def _corners(space: Space) -> Iterator[dict[str, Value]]:
    values = {key: _ends(found) for key, found in space.searched.items()}
    first = {key: found[0] for key, found in values.items()}
    yield first
    for key, found in values.items():
        yield from (first | {key: value} for value in found[1:])


def _ends(found: BaseDistribution) -> list[Value]:
    if isinstance(found, CategoricalDistribution):
        return [str(choice) for choice in found.choices]
    assert isinstance(found, IntDistribution | FloatDistribution)  # there are these three
    return [found.low, found.high]
