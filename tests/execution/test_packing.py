"""How a command's jobs are cut into packs."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pgexp.execution import packing
from pgexp.execution.packing import WORKER, packed
from pgexp.execution.plan import Job
from pgexp.schema.sweep import Sweep
from tests.conftest import Compose

Jobs = Callable[..., list[Job]]
SMALL = 2**20  # bytes of a run
PLENTY = Sweep(memory=100.0)


@pytest.fixture
def jobs(clock: Compose) -> Jobs:
    """Makes so many jobs of each of some overrides, one after the other."""

    def made(*parts: tuple[int, str]) -> list[Job]:
        configs = [config for count, overrides in parts for config in [clock(overrides)] * count]
        return [Job(config, Path(str(number))) for number, config in enumerate(configs)]

    return made


def sizes(jobs: Sequence[Job], workers: int, sweep: Sweep = PLENTY, footprint: int = SMALL) -> list[int]:
    packs = packed(jobs, [footprint] * len(jobs), workers, sweep)
    assert sorted(index for pack in packs for index in pack.indices) == list(range(len(jobs)))
    assert all(pack.memory == WORKER + footprint * len(pack.indices) for pack in packs)
    return [len(pack.indices) for pack in packs]


ONE = "seed=0"


@pytest.mark.parametrize(
    ("count", "workers", "expected"),
    [
        (1, 2, [1]),
        (2, 2, [1, 1]),
        (15, 2, [7, 8]),
        (15, 1, [15]),
        (15, 0, [15]),  # the command itself is one
        (64, 1, [64]),
        (65, 1, [32, 33]),
        (256, 2, [64] * 4),
        (3, 8, [1, 1, 1]),
    ],
)
def test_as_few_packs_as_there_can_be_with_a_share_for_each_worker(
    jobs: Jobs, count: int, workers: int, expected: list[int]
) -> None:
    assert sorted(sizes(jobs((count, ONE)), workers)) == expected


def test_structures_that_are_enough_for_all_workers_are_not_cut(jobs: Jobs) -> None:
    four = jobs(
        (8, "algorithm.batch.episodes=2"),
        (8, "algorithm.batch.episodes=4"),
        (8, "dtype=float64"),
        (8, "env.num_envs=1"),
    )
    assert sizes(four, 2) == [8, 8, 8, 8]


def test_a_pack_is_of_one_structure(jobs: Jobs) -> None:
    packs = packed(jobs((3, ONE), (2, "dtype=float64")), [SMALL] * 5, 1, Sweep())
    assert [list(pack.indices) for pack in packs] == [[0, 1, 2], [3, 4]]


@pytest.mark.parametrize(("most", "expected"), [(1, [1] * 6), (4, [3, 3]), (5, [3, 3]), (6, [6]), (100, [6])])
def test_no_more_runs_in_a_pack_than_are_allowed(jobs: Jobs, most: int, expected: list[int]) -> None:
    assert sizes(jobs((6, ONE)), 1, Sweep(max_runs_per_pack=most, memory=100.0)) == expected


def test_more_runs_in_a_pack_than_usual_where_it_is_said(jobs: Jobs) -> None:
    assert sizes(jobs((130, ONE)), 1, Sweep(max_runs_per_pack=130, memory=100.0)) == [130]


def test_packs_that_train_at_once_fit_the_memory_together(jobs: Jobs) -> None:
    # 1 GiB for two workers: 512 MiB each, of which a worker itself takes 400; so seven runs of 15 MiB, 7 * 15 = 105.
    assert max(sizes(jobs((28, ONE)), 2, Sweep(memory=1.0), footprint=15 * 2**20)) == 7


def test_a_run_that_does_not_fit_is_a_pack_of_its_own(jobs: Jobs) -> None:
    assert sizes(jobs((2, ONE)), 1, Sweep(memory=0.001), footprint=2**30) == [1, 1]


def test_the_memory_that_is_free_counts_where_none_is_said(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    # .7 of 1,000 MiB for one worker less 400 are 300: ten runs of 30.
    monkeypatch.setattr(packing, "free_memory", lambda: 1000 * 2**20)
    assert sizes(jobs((20, ONE)), 1, Sweep(), footprint=30 * 2**20) == [10, 10]


def test_what_takes_longest_begins_first(jobs: Jobs) -> None:
    short, long = "budget.steps=100", "budget.steps=1000"
    packs = packed(jobs((4, f"{short}"), (2, f"{long}")), [SMALL] * 6, 1, Sweep(max_runs_per_pack=2))
    assert [list(pack.indices) for pack in packs] == [[4, 5], [0, 1], [2, 3]]


def test_no_more_is_free_than_the_machine_has() -> None:
    total = int(next(line for line in Path("/proc/meminfo").read_text().splitlines() if "MemTotal" in line).split()[1])
    assert 0 < packing.free_memory() < 1024 * total
