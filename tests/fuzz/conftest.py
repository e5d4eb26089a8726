from collections.abc import Iterator
from pathlib import Path

import pytest

from pgexp.execution.experiment import Experiment, Update
from pgexp.execution.workers.local import LocalWorkers
from pgexp.tracking.exporter import Exporter, ExporterState


class _Done:
    """An exporter that has finished, because nothing is trained."""

    def state(self) -> ExporterState:
        return ExporterState("done")

    def wait(self, timeout: float) -> ExporterState:
        return self.state()

    def close(self) -> None:
        pass


def _train_nothing(experiment: Experiment) -> Iterator[Update]:
    experiment._ended = True
    return iter(())


@pytest.fixture(scope="module")
def untrained() -> Iterator[None]:
    """Replace training: commands build and record their runs, but train nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Experiment, "__iter__", _train_nothing)
        patch.setattr(Exporter, "start", lambda *arguments: _Done())
        patch.setattr(LocalWorkers, "count", 0)  # a worker process would not have these replacements
        yield


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """A folder for the output of a command."""
    folder = tmp_path / "said"
    folder.mkdir()
    return folder
