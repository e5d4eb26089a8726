"""Check of a search's configs before anything is trained: a search may come to a wrong one after hours."""

from collections.abc import Iterator

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, open_dict
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from pgexp.cli.config import typed
from pgexp.cli.searching.distributions import Value
from pgexp.cli.searching.space import Space
from pgexp.schema.config import RunConfig


def checked(space: Space, config: DictConfig, loader: ConfigLoader) -> list[RunConfig]:
    """Return configs that cover the space: each choice, and both ends of each range and interval.

    One key is changed at a time, the others have their first value; which of their values go together is not known.
    Raises what composing or checking a config raises.
    """
    found = []
    for params in _corners(space):
        for overrides in space.jobs(params)[:1]:  # the other seeds were checked with the command's own values
            job = loader.load_sweep_config(config, overrides)
            choices = dict(job.hydra.runtime.choices)
            with open_dict(job):
                del job["hydra"]
            found.append(typed(job, choices))
    return found


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
