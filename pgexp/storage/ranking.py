"""How a record's configurations stand, the best first."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from pgexp.storage.following import RunStanding, Standing
from pgexp.storage.record import Record


@dataclass(frozen=True)
class ConfigurationStanding:
    """How the seeds of one configuration stand."""

    name: str
    seeds: Standing

    @cached_property
    def scores(self) -> Sequence[float]:
        """The final scores of the seeds that have finished."""
        return [run.score for run in self.seeds.runs if run.state == "finished" and run.score is not None]

    @cached_property
    def score(self) -> float | None:
        """The mean of the final scores, None where there is none yet."""
        return sum(self.scores) / len(self.scores) if self.scores else None

    @property
    def return_mean(self) -> float | None:
        """The mean of the latest training returns of the seeds that are running, None where there is none."""
        return self.seeds.return_mean


def ranked(record: Record, standing: Standing) -> list[ConfigurationStanding]:
    """Return the configurations, those with final scores first, the best of them first, then by training returns.

    It ranks what there is so far, of as few seeds as that may be. Equals, and those without either, keep their order.
    """
    groups: dict[str, tuple[str, list[RunStanding]]] = {}
    for run, stands in zip(record.members, standing.runs, strict=True):
        groups.setdefault(run.configuration, (run.configuration_name, []))[1].append(stands)
    return sorted((ConfigurationStanding(name, Standing(runs)) for name, runs in groups.values()), key=_rank)


def _rank(configuration: ConfigurationStanding) -> tuple[int, float]:
    if configuration.score is not None:
        return 0, -configuration.score
    return_mean = configuration.return_mean
    return (1, -return_mean) if return_mean is not None else (2, 0.0)
