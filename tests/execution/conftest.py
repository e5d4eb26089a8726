from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import pytest

from pgexp.execution.assembly import assemble
from pgexp.execution.experiment import Experiment, Interrupts
from pgexp.execution.run_writer import RunWriter
from pgexp.runs.run_log import End, Item, Row, RunLogReader
from pgexp.schema.config import RunConfig
from pgexp.schema.names import TIMING
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
        self.experiment = Experiment(self.assembled, RunWriter(folder))

    def run(self, updates: int | None = None) -> "Trained":
        """Train the run to its end, or for some updates. Raises KeyboardInterrupt after a signal."""
        with self.experiment, Interrupts() as interrupts:
            for number, _ in enumerate(self.experiment, 1):
                if interrupts.noted():
                    raise KeyboardInterrupt
                if number == updates:
                    break
        return self

    def items(self) -> list[Item]:
        """Return the items of the run log."""
        return RunLogReader(self.folder / "rows.jsonl").read()

    def rows(self, group: str = "") -> list[Row]:
        """Return the rows, or those with a metric of a group."""
        rows = [item for item in self.items() if isinstance(item, Row)]
        return [row for row in rows if any(name.startswith(group) for name in row.metrics)]

    def steps(self, group: str = "") -> list[int]:
        """Return the steps of the rows, or of those with a metric of a group."""
        return [row.steps for row in self.rows(group)]

    @property
    def end(self) -> tuple[str, str]:
        """The run's status and its reason, from the last item of the run log."""
        *before, last = self.items()
        assert isinstance(last, End)
        assert not any(isinstance(item, End) for item in before)
        return last.status, last.reason

    @property
    def is_complete(self) -> bool:
        """Whether resuming the run would change nothing."""
        last = self.items()[-1]
        return isinstance(last, End) and last.complete


def untimed(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return the metrics without the timings."""
    return {name: value for name, value in metrics.items() if not name.startswith(TIMING)}


Train = Callable[[RunConfig], Trained]


@pytest.fixture(autouse=True)
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the index of finished runs, which is in the working directory, out of the repository."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def configured(configured: Compose) -> Compose:
    """The function of all tests, except that equal overrides are composed once, because composing is slow."""
    return cache(configured)


@pytest.fixture
def experiment(tmp_path: Path) -> Train:
    """Return a function that makes a config's experiment in a new folder."""

    def made(config: RunConfig) -> Trained:
        return Trained(config, tmp_path / f"run {len(list(tmp_path.iterdir()))}")

    return made


@pytest.fixture
def clock(configured: Compose) -> Compose:
    """Return a function that composes a config of the clock."""
    return lambda *overrides: configured(*CLOCK, *overrides)
