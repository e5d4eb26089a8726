import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.console import Answer, Server, shell
from tests.cli.store import Store

# A user's environment whose steps can be told to do a deed, trained in batches of eight episodes of four steps.
CLOCK = ("env.id=mine:Clock-v0", "network=linear", "evaluation.every=null", "evaluation.final_episodes=2")

OWN = Path(__file__).parents[1] / "execution" / "own"

# A short training that single runs and sweeps have in common.
SHORT = (
    "budget.steps=600",
    "network.widths=[8]",
    "evaluation.every=300",
    "evaluation.episodes=2",
    "evaluation.final_episodes=3",
)


@dataclass(frozen=True)
class Done:
    """A command that has ended: the folder it was called in, and what it said."""

    folder: Path
    answer: Answer

    @property
    def output(self) -> Path:
        """The one folder that it made: a single run's, or a sweep's."""
        (found,) = [*self.folder.glob("outputs/*/*"), *self.folder.glob("multirun/*/*")]
        return found

    @property
    def store(self) -> Store:
        """Its working folder's store."""
        return Store(self.folder)

    def job(self, number: int) -> Path:
        """Return the folder of a sweep's job."""
        return self.output / str(number)


@pytest.fixture(scope="session")
def light() -> Iterator[Server]:
    """Runs the command from what it loads at its start."""
    server = Server("pgexp.cli.train", "pgexp.cli.early", "pgexp.cli.errors")
    yield server
    server.close()


@pytest.fixture(scope="session")
def ready() -> Iterator[Server]:
    """Runs the command from where it has loaded torch."""
    server = Server("pgexp.cli.train", "pgexp.cli.outcome", "torch._dynamo")
    yield server
    server.close()


@pytest.fixture(scope="session")
def workplace(tmp_path_factory: pytest.TempPathFactory, fresh_store: Path) -> Callable[[], Path]:
    """Makes working folders, each with a store and with a user's own module and config folder."""

    def made() -> Path:
        folder = shutil.copytree(OWN, tmp_path_factory.mktemp("work"), dirs_exist_ok=True)
        shutil.copy(fresh_store, folder)
        return folder

    return made


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A working folder with a user's own module and config folder, and without a store."""
    shutil.copytree(OWN, tmp_path, dirs_exist_ok=True)
    (tmp_path / "myconf" / "experiment").mkdir()
    return tmp_path


@pytest.fixture(scope="session")
def single(workplace: Callable[[], Path]) -> Done:
    """A single run, filmed, called in a repository whose one file was changed after its commit."""
    folder = workplace()
    (folder / "notes.txt").write_text("one\n")
    git(folder, "init", "--quiet")
    git(folder, "add", "notes.txt")
    git(folder, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", "Begin")
    (folder / "notes.txt").write_text("two\n")
    return Done(folder, shell(folder, "pgexp", "baseline=mean", "seed=2", *SHORT, "evaluation.video=true"))


@pytest.fixture(scope="session")
def sweep(workplace: Callable[[], Path]) -> Done:
    """A sweep of two configurations with two seeds each; its last job is what `single` is."""
    folder = workplace()
    return Done(folder, shell(folder, "pgexp", "-m", "baseline=none,mean", "seed=1,2", *SHORT))


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", folder, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()
