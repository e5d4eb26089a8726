from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import pytest

from pgexp.execution.assembly import assemble
from pgexp.execution.experiment import Experiment
from pgexp.execution.journal import Journal
from pgexp.schema.config import RunConfig
from pgexp.schema.names import TIMING
from pgexp.storage.spool import End, Item, Row, SpoolReader
from tests.conftest import Compose

# A user's own environment. A batch is two episodes of four steps, so an update takes eight steps.
CLOCK = (
    "env.id=tests.execution.own.mine:Clock-v0",
    "network=linear",
    "baseline=mean",
    "algorithm.batch.episodes=2",
    "budget.steps=32",
    "evaluation.every=null",
    "evaluation.final_episodes=3",
)


class Trained:
    """An experiment and the folder of its run."""

    def __init__(self, config: RunConfig, folder: Path) -> None:
        self.folder = folder
        self.assembled = assemble(config)
        self.experiment = Experiment(self.assembled, Journal(folder))

    def run(self) -> "Trained":
        """Train the run to its end."""
        self.experiment.run(lambda share, rate, mean_return: None)
        return self

    def items(self) -> list[Item]:
        """Return everything in the run's spool, in order."""
        return SpoolReader(self.folder / "rows.jsonl").read()

    def rows(self, group: str = "") -> list[Row]:
        """Return the rows, or those that have a metric of a group."""
        rows = [item for item in self.items() if isinstance(item, Row)]
        return [row for row in rows if any(name.startswith(group) for name in row.metrics)]

    def steps(self, group: str = "") -> list[int]:
        """Return the steps of the rows, or of those that have a metric of a group."""
        return [row.steps for row in self.rows(group)]

    @property
    def end(self) -> tuple[str, str]:
        """The run's status and its reason, from the spool's last item."""
        *before, last = self.items()
        assert isinstance(last, End)
        assert not any(isinstance(item, End) for item in before)
        return last.status, last.reason

    @property
    def is_complete(self) -> bool:
        """Whether a resumed run would have nothing left to do."""
        last = self.items()[-1]
        return isinstance(last, End) and last.complete


def untimed(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return the metrics without the timings."""
    return {name: value for name, value in metrics.items() if not name.startswith(TIMING)}


Train = Callable[[RunConfig], Trained]


@pytest.fixture(scope="session")
def configured(configured: Compose) -> Compose:
    """The function of all tests, but equal overrides are composed once: that takes longer than most runs here."""
    return cache(configured)


@pytest.fixture
def experiment(tmp_path: Path) -> Train:
    """Return a function from a config to an experiment in a folder of its own."""

    def made(config: RunConfig) -> Trained:
        return Trained(config, tmp_path / f"run {len(list(tmp_path.iterdir()))}")

    return made


@pytest.fixture
def clock(configured: Compose) -> Compose:
    """Return a function from overrides to a config of the clock."""
    return lambda *overrides: configured(*CLOCK, *overrides)
