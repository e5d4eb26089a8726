"""A sweep killed at any moment, gone on with and brought to MLflow, equals the same sweep undisturbed.

Killed are, in turns, the command, its sink, and both at once, at moments spread over the whole of the command, its
beginning and its end included; what goes on may be killed again. `PGEXP_KILLS` says how many sweeps are killed. The
moments are repeatable; what the kills find the processes at is not.
"""

import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from tests.comparison.recorded import fresh_store
from tests.kills.commands import SAID, ended, kill, started
from tests.kills.contents import differences, hit, of_folder, of_store

KILLS = int(os.environ.get("PGEXP_KILLS", "4"))
AGAIN = 0.3  # the share of those that go on that are killed again
SWEEP = (
    "-m",
    "env=cartpole",
    "baseline=none,value",
    "seed=1,2",
    "network.widths=[8]",
    "budget.steps=20_000",
    "evaluation.every=4_000",
    "evaluation.episodes=3",
    "evaluation.final_episodes=3",
    "checkpoint.seconds=0.05",
    "hydra.sweep.dir=sweep",
)


@dataclass(frozen=True)
class Undisturbed:
    """What a sweep leaves that nobody kills, and the seconds that it takes."""

    folder: dict[str, bytes | str]
    store: dict[str, list[object]]
    seconds: float


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Makes working folders, each with an empty store."""
    fresh = fresh_store(tmp_path_factory.mktemp("fresh"))  # it takes seconds

    def made() -> Path:
        return Path(shutil.copy(fresh, tmp_path_factory.mktemp("work"))).parent

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


def survived(place: Path, whom: str, moment: float, seconds: float, random: Random) -> list[str]:
    """Call a sweep, kill it, and go on until it is over and in MLflow; return what the kills hit."""
    sweep, hits = place / "sweep", list[str]()
    while True:
        recorded = (sweep / "record.json").exists()
        process = started(place, "resume", "sweep") if recorded else started(place, "train", *SWEEP)
        if not hits or random.random() < AGAIN:
            process.join(random.uniform(0, seconds) if hits else moment)
            if process.exitcode is not None:
                hits.append("nothing: it had ended")
            elif kill(process, whom):
                hits.append("the sink alone")
        code = ended(process)
        if code == 0:
            break
        assert code == -signal.SIGKILL, (place / SAID).read_text()
        hits.append(hit(sweep))
    assert ended(started(place, "sync", "sweep")) == 0, (place / SAID).read_text()
    return hits


def test_a_sweep_that_is_killed_and_gone_on_with_equals_one_undisturbed(
    undisturbed: Undisturbed, workplace: Callable[[], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    places = [workplace() for _ in range(KILLS)]

    def tried(number: int) -> tuple[list[str], list[str]]:
        place, random = places[number], Random(number)
        if number % 5 == 4:
            (place / "mlflow.db").unlink()  # its sink makes the store
        moment = undisturbed.seconds * (number + random.random()) / KILLS
        hits = survived(place, ("command", "sink", "both")[number % 3], moment, undisturbed.seconds, random)
        wrong = differences(of_folder(place / "sweep"), undisturbed.folder)
        wrong += differences(of_store(place / "mlflow.db"), undisturbed.store)
        wrong += [str(draft) for draft in (place / "sweep").glob("*/*/.*.[0-9]*")]
        return hits, wrong

    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(tried, range(KILLS)))
    with capsys.disabled():
        print(f"\n{KILLS} sweeps killed:", dict(Counter(each for hits, _ in outcomes for each in hits)))
    assert {number: wrong for number, (_, wrong) in enumerate(outcomes) if wrong} == {}
