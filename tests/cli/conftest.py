import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.console import Answer, Server, shell
from tests.cli.mlflow_store import Store

# A user's environment with a configurable action in one step, trained in batches of eight episodes of four steps.
CLOCK = ("env.id=mine:Clock-v0", "network=linear", "evaluation.every=null", "evaluation.final_episodes=2")

OWN = Path(__file__).parents[1] / "execution" / "own"

# A short training, of single runs and sweeps.
SHORT = (
    "budget.steps=600",
    "network.widths=[8]",
    "evaluation.every=300",
    "evaluation.episodes=2",
    "evaluation.final_episodes=3",
)


@dataclass(frozen=True)
class Done:
    """A command that has ended: its working directory and its answer."""

    folder: Path
    answer: Answer

    @property
    def output(self) -> Path:
        """The folder of its run or sweep."""
        (found,) = [*self.folder.glob("outputs/*/*"), *self.folder.glob("multirun/*/*")]
        return found

    @property
    def store(self) -> Store:
        """The store in its working directory."""
        return Store(self.folder)

    def job(self, number: int) -> Path:
        """Return the folder of a sweep's job."""
        return self.output / str(number)


@pytest.fixture(scope="session")
def light() -> Iterator[Server]:
    """A server that has loaded what the command loads at its start."""
    server = Server("pgexp.cli.train", "pgexp.cli.overrides", "pgexp.cli.hydra_errors")
    yield server
    server.close()


@pytest.fixture(scope="session")
def ready() -> Iterator[Server]:
    """A server that has loaded torch."""
    server = Server("pgexp.cli.train", "pgexp.cli.training_report", "torch._dynamo")
    yield server
    server.close()


@pytest.fixture(scope="session")
def workplace(tmp_path_factory: pytest.TempPathFactory, fresh_store: Path) -> Callable[[], Path]:
    """Return a function that creates working directories with a store, a user's module and a user's config folder."""

    def made() -> Path:
        folder = shutil.copytree(OWN, tmp_path_factory.mktemp("work"), dirs_exist_ok=True)
        shutil.copy(fresh_store, folder)
        return folder

    return made


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A working directory with a user's module and config folder, and without a store."""
    shutil.copytree(OWN, tmp_path, dirs_exist_ok=True)
    (tmp_path / "myconf" / "experiment").mkdir()
    return tmp_path


@pytest.fixture(scope="session")
def single(workplace: Callable[[], Path]) -> Done:
    """A single run with a video, in a git repository with an uncommitted change."""
    folder = workplace()
    (folder / "notes.txt").write_text("one\n")
    git(folder, "init", "--quiet")
    git(folder, "add", "notes.txt")
    git(folder, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", "Begin")
    (folder / "notes.txt").write_text("two\n")
    return Done(folder, shell(folder, "pgexp", "baseline=mean", "seed=2", *SHORT, "evaluation.video=true"))


@pytest.fixture(scope="session")
def sweep(workplace: Callable[[], Path]) -> Done:
    """A sweep of two configurations with two seeds each. Its last job equals `single`."""
    folder = workplace()
    return Done(folder, shell(folder, "pgexp", "-m", "baseline=none,mean", "seed=1,2", *SHORT))


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", folder, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()
