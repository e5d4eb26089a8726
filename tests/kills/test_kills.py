"""A sweep killed at any moment, gone on with and brought to MLflow, equals the same sweep undisturbed.

Killed are the command, its sink, one of its two workers, or all of them, several times a sweep, at moments spread over
the whole of it, its beginning and its end included. A worker and a sink are replaced; a command is called again.
`PGEXP_KILLED_SWEEPS` says how many sweeps are so disturbed. The moments are repeatable; what the kills find the
processes at is not.
"""

import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from pgexp.execution.commanding import COMMAND_FILE
from tests.kills.commands import SAID, Whom, ended, kill, started
from tests.kills.contents import differences, hit, of_folder, of_store

pytestmark = pytest.mark.slow

SWEEPS = int(os.environ.get("PGEXP_KILLED_SWEEPS", "2"))
KILLS = 5  # of each
LATE = 0.8  # the share of commands that are let come to their training before the first
SWEEP = (
    "-m",
    "env=cartpole",
    "baseline=none,value",
    "seed=1,2",
    "network.widths=[8]",
    "budget.steps=40_000",
    "evaluation.every=10_000",
    "evaluation.episodes=3",
    "evaluation.final_episodes=3",
    "checkpoint.seconds=0.05",
    "workers.processes=2",
    "sweep.rerun=true",
    "hydra.sweep.dir=sweep",
)


@dataclass(frozen=True)
class Undisturbed:
    """What a sweep leaves that nobody kills, and the seconds that it takes."""

    folder: dict[str, bytes | str]
    store: dict[str, list[object]]
    seconds: float


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory, fresh_store: Path) -> Callable[[], Path]:
    """Makes working folders, each with an empty store."""

    def made() -> Path:
        return Path(shutil.copy(fresh_store, tmp_path_factory.mktemp("work"))).parent

    return made


@pytest.fixture(scope="module")
def undisturbed(workplace: Callable[[], Path]) -> Undisturbed:
    places = [workplace(), workplace()]  # two at a time, as the others will be
    assert ended(started(places[0], "train", "--help")) == 0  # what forks has loaded everything
    begun = time.monotonic()
    processes = [started(place, "train", *SWEEP) for place in places]
    for place, process in zip(places, processes, strict=True):
        assert ended(process) == 0, (place / SAID).read_text()
    seconds = time.monotonic() - begun
    one, other = [Undisturbed(of_folder(p / "sweep"), of_store(p / "mlflow.db"), seconds) for p in places]
    assert one == other
    return one


def token(sweep: Path) -> str | None:
    """Return whose workers train a sweep, if anybody's do."""
    with suppress(FileNotFoundError):
        return (sweep / COMMAND_FILE).read_text()
    return None


def survived(place: Path, seconds: float, random: Random) -> list[str]:
    """Call a sweep, kill it several times, and go on until it is over and in MLflow; return what the kills hit."""
    sweep, hits = place / "sweep", list[str]()
    # Each kind of kill has its turn in each sweep; the moments are those of the command that runs then.
    victims: list[Whom] = random.sample(
        ["command", "worker", "worker", "worker", random.choice(["sink", "all"])], KILLS
    )
    while True:
        recorded, before = (sweep / "record.json").exists(), token(sweep)
        process = started(place, "resume", "sweep") if recorded else started(place, "train", *SWEEP)
        if random.random() < LATE:
            while process.exitcode is None and token(sweep) in (None, before):
                process.join(0.02)  # until its workers are at work
        while victims:
            process.join(random.uniform(0, seconds / 3))
            if process.exitcode is not None:
                break
            whom = kill(process, victims.pop(), random)
            hits.append(f"{whom} {hit(sweep)}")
            if whom in ("command", "all"):
                break
        code = ended(process)
        if code == 0:
            break
        assert code == -signal.SIGKILL, (place / SAID).read_text()
    assert ended(started(place, "sync", "sweep")) == 0, (place / SAID).read_text()
    return [*hits, *["nothing: it had ended"] * len(victims)]


def test_a_sweep_that_is_killed_and_gone_on_with_equals_one_undisturbed(
    undisturbed: Undisturbed, workplace: Callable[[], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    places = [workplace() for _ in range(SWEEPS)]

    def tried(number: int) -> tuple[list[str], list[str]]:
        place = places[number]
        if number % 5 == 4:
            (place / "mlflow.db").unlink()  # its sink makes the store
        hits = survived(place, undisturbed.seconds, Random(number))
        wrong = differences(of_folder(place / "sweep"), undisturbed.folder)
        wrong += differences(of_store(place / "mlflow.db"), undisturbed.store)
        wrong += [str(draft) for draft in (place / "sweep").glob("*/*/.*.[0-9]*")]
        return hits, wrong

    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(tried, range(SWEEPS)))
    with capsys.disabled():
        print(f"\n{SWEEPS} sweeps killed {KILLS} times:", dict(Counter(each for hits, _ in outcomes for each in hits)))
    assert {number: wrong for number, (_, wrong) in enumerate(outcomes) if wrong} == {}
