from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pgexp.execution.assembly import assemble
from pgexp.execution.experiment import Experiment
from pgexp.execution.journal import Journal
from pgexp.schema.config import RunConfig
from pgexp.storage.spool import End, Item, Row, SpoolReader
from tests.conftest import Compose

# An environment of a user's own, of which a batch is two episodes of four steps: an update every eight steps.
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
    """An experiment, and what it left in its runs' folders."""

    def __init__(self, configs: Sequence[RunConfig], folder: Path) -> None:
        self.folders = [folder / str(run) for run in range(len(configs))]
        self.pack = assemble(configs)
        self.experiment = Experiment(self.pack, [Journal(path) for path in self.folders])

    def run(self) -> "Trained":
        self.experiment.run(lambda share, rate, returns: None)
        return self

    def items(self, run: int = 0) -> list[Item]:
        """Return all that a run's spool holds, in order."""
        return SpoolReader(self.folders[run] / "rows.jsonl").read()

    def rows(self, run: int = 0, metric: str = "") -> list[Row]:
        """Return a run's rows, or those that have a metric of that group."""
        rows = [item for item in self.items(run) if isinstance(item, Row)]
        return [row for row in rows if any(name.startswith(metric) for name in row.metrics)]

    def steps(self, run: int = 0, metric: str = "") -> list[int]:
        """Return the steps of a run's rows, or of those that have a metric of that group."""
        return [row.steps for row in self.rows(run, metric)]

    def end(self, run: int = 0) -> tuple[str, str]:
        """Return how a run ended, which is the last that its spool holds, and why."""
        *before, last = self.items(run)
        assert isinstance(last, End)
        assert not any(isinstance(item, End) for item in before)
        return last.status, last.reason

    def is_complete(self, run: int = 0) -> bool:
        """Return whether nothing of a run is left to do."""
        last = self.items(run)[-1]
        return isinstance(last, End) and last.complete


Train = Callable[..., Trained]


@pytest.fixture
def experiment(tmp_path: Path) -> Train:
    """Makes an experiment of a pack of configs, in a folder of its own."""

    def made(*configs: RunConfig) -> Trained:
        return Trained(configs, tmp_path / f"pack {len(list(tmp_path.iterdir()))}")

    return made


@pytest.fixture
def clock(configured: Compose) -> Compose:
    """Return a function from overrides to a config of the clock."""
    return lambda *overrides: configured(*CLOCK, *overrides)
