from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pgexp.execution.experiment import Experiment, Show
from pgexp.execution.workers.local import LocalWorkers
from pgexp.storage.sink import SinkProcess, SinkState


class _Done:
    """A sink that has nothing left to copy, because nothing is trained."""

    def state(self) -> SinkState:
        return SinkState("done")

    def wait(self, timeout: float) -> SinkState:
        return self.state()

    def close(self) -> None:
        pass


def _train_nothing(experiment: Experiment, show: Show, dismissed: Callable[[], bool]) -> None:
    experiment._run.close()


@pytest.fixture(scope="module")
def untrained() -> Iterator[None]:
    """Replace training: commands build and record their runs, train nothing, and end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Experiment, "run", _train_nothing)
        patch.setattr(SinkProcess, "start", lambda *given: _Done())
        patch.setattr(LocalWorkers, "count", 0)  # a worker's process would not have these replacements
        yield


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """A folder for the output of a command."""
    folder = tmp_path / "said"
    folder.mkdir()
    return folder
