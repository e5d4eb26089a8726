"""A sweep that is killed, resumed and exported equals an undisturbed sweep.

The tests kill the command, its exporter, one of its two workers, or all of them, several times per sweep and at times
from its start to its end. The command replaces workers and exporters; the test calls a killed command again.
`PGEXP_KILLED_SWEEPS` is the number of sweeps. The times of the kills are repeatable; the state that they hit is not.
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

from pgexp.execution.workers.lease import LEASE_FILE
from tests.kills.commands import OUTPUT, Target, ended, kill, started
from tests.kills.contents import differences, hit, of_folder, of_store

pytestmark = pytest.mark.slow

SWEEPS = int(os.environ.get("PGEXP_KILLED_SWEEPS", "2"))
KILLS = 5  # per sweep
LATE = 0.8  # share of commands that are killed only after their training has begun
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
    """Contents of an undisturbed sweep, and its duration."""

    folder: dict[str, bytes | str]
    store: dict[str, list[object]]
    seconds: float


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory, fresh_store: Path) -> Callable[[], Path]:
    """Return a function that makes a working folder with an empty store."""

    def made() -> Path:
        return Path(shutil.copy(fresh_store, tmp_path_factory.mktemp("work"))).parent

    return made


@pytest.fixture(scope="module")
def undisturbed(workplace: Callable[[], Path]) -> Undisturbed:
    places = [workplace(), workplace()]  # two at a time, like the killed ones
    assert ended(started(places[0], "train", "--help")) == 0  # the fork server has loaded everything
    begun = time.monotonic()
    processes = [started(place, "train", *SWEEP) for place in places]
    for place, process in zip(places, processes, strict=True):
        assert ended(process) == 0, (place / OUTPUT).read_text()
    seconds = time.monotonic() - begun
    one, other = [Undisturbed(of_folder(p / "sweep"), of_store(p / "mlflow.db"), seconds) for p in places]
    assert one == other
    return one


def token(sweep: Path) -> str | None:
    """Return the token of the lease on a sweep, or None."""
    with suppress(FileNotFoundError):
        return (sweep / LEASE_FILE).read_text()
    return None


def survived(place: Path, seconds: float, random: Random) -> list[str]:
    """Start a sweep, kill it several times, resume it to its end and export it; return what the kills hit."""
    sweep, hits = place / "sweep", list[str]()
    # Each sweep has each kind of kill.
    victims: list[Target] = random.sample(
        ["command", "worker", "worker", "worker", random.choice(["exporter", "all"])], KILLS
    )
    while True:
        recorded, before = (sweep / "manifest.json").exists(), token(sweep)
        process = started(place, "resume", "sweep") if recorded else started(place, "train", *SWEEP)
        if random.random() < LATE:
            while process.exitcode is None and token(sweep) in (None, before):
                process.join(0.02)  # until its workers train
        while victims:
            process.join(random.uniform(0, seconds / 3))
            if process.exitcode is not None:
                break
            target = kill(process, victims.pop(), random)
            hits.append(f"{target} {hit(sweep)}")
            if target in ("command", "all"):
                break
        code = ended(process)
        if code == 0:
            break
        assert code == -signal.SIGKILL, (place / OUTPUT).read_text()
    assert ended(started(place, "sync", "sweep")) == 0, (place / OUTPUT).read_text()
    return [*hits, *["nothing: the sweep had ended"] * len(victims)]


def test_a_killed_sweep_equals_an_undisturbed_one(
    undisturbed: Undisturbed, workplace: Callable[[], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    places = [workplace() for _ in range(SWEEPS)]

    def run(number: int) -> tuple[list[str], list[str]]:
        place = places[number]
        if number % 5 == 4:
            (place / "mlflow.db").unlink()  # the exporter creates the store
        hits = survived(place, undisturbed.seconds, Random(number))
        wrong = differences(of_folder(place / "sweep"), undisturbed.folder)
        wrong += differences(of_store(place / "mlflow.db"), undisturbed.store)
        wrong += [str(draft) for draft in (place / "sweep").glob("*/*/.*.[0-9]*")]
        return hits, wrong

    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(run, range(SWEEPS)))
    with capsys.disabled():
        print(f"\n{SWEEPS} sweeps killed {KILLS} times:", dict(Counter(each for hits, _ in outcomes for each in hits)))
    assert {number: wrong for number, (_, wrong) in enumerate(outcomes) if wrong} == {}
