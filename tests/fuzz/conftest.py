from collections.abc import Iterator
from pathlib import Path

import pytest

from pgexp.execution.experiment import Experiment, Show
from pgexp.storage.sink import SinkProcess, SinkState


class _Done:
    """A sink that has brought over all there is, since nothing is trained."""

    def wait(self, timeout: float) -> SinkState:
        return SinkState("done")

    def close(self) -> None:
        pass


def _train_nothing(experiment: Experiment, show: Show) -> None:
    experiment._pack.close()


@pytest.fixture(scope="module")
def untrained() -> Iterator[None]:
    """Commands that build all that they are asked to train, record it, and end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Experiment, "run", _train_nothing)
        patch.setattr(SinkProcess, "start", lambda *given: _Done())
        yield


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """A folder for what a command says."""
    folder = tmp_path / "said"
    folder.mkdir()
    return folder
