"""What a worker does with a pack: it trains it from where its folders stand, for as long as its command wants it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pgexp.execution import commanding
from pgexp.execution.checkpoints import checkpoint_path
from pgexp.execution.orders import Order
from pgexp.execution.plan import Job
from pgexp.execution.work import train_pack, work
from pgexp.storage.spool import End, SpoolReader
from tests.conftest import Compose

MakeOrder = Callable[..., Order]


@pytest.fixture
def order(clock: Compose, tmp_path: Path) -> MakeOrder:
    """Makes the order of a pack of three seeds, whose command it is."""

    def made(*overrides: str) -> Order:
        commanding.take_over(tmp_path, "ours")
        jobs = tuple(Job(clock(f"seed={seed}", *overrides), tmp_path / str(seed)) for seed in range(3))
        return Order("ours", 0, tmp_path, jobs, ())

    return made


def ends(order: Order) -> list[tuple[str, str]]:
    """Return how each run of a pack ended last, and why."""
    last = [SpoolReader(job.folder / "rows.jsonl").read()[-1] for job in order.jobs]
    return [(item.status, item.reason) for item in last if isinstance(item, End)]


def test_a_pack_is_trained_to_its_end(order: MakeOrder) -> None:
    assert work(order(), alone=lambda: False)
    assert ends(order()) == [("FINISHED", "")] * 3


def test_a_worker_that_comes_to_its_turn_when_another_command_has_taken_over_touches_nothing(
    order: MakeOrder, tmp_path: Path
) -> None:
    waited = order()
    commanding.take_over(tmp_path, "another")
    assert not work(waited, alone=lambda: False)
    assert not any(job.folder.exists() for job in waited.jobs)


def test_a_worker_that_is_dismissed_keeps_checkpoints(order: MakeOrder, tmp_path: Path) -> None:
    endless = order("budget.steps=1_000_000", "checkpoint.seconds=null")
    asked = []

    def alone() -> bool:
        asked.append(True)
        if len(asked) == 2:  # once it trains
            commanding.dismiss(tmp_path)
        return False

    assert not work(endless, alone)
    assert ends(endless) == [("KILLED", "interrupted")] * 3
    assert all(checkpoint_path(job.folder, "last").exists() for job in endless.jobs)


def test_a_worker_whose_command_is_gone_stops(order: MakeOrder) -> None:
    answers = iter([False, True])
    assert not work(order("budget.steps=1_000_000"), lambda: next(answers))


def test_a_run_whose_checkpoint_is_damaged_fails_alone(order: MakeOrder) -> None:
    pack = order()
    checkpoint_path(pack.jobs[1].folder, "last").parent.mkdir(parents=True)
    checkpoint_path(pack.jobs[1].folder, "last").write_bytes(b"nonsense")
    outcomes = train_pack(pack.jobs, lambda share, rate, returns: None)
    assert sorted(outcomes) == [0, 2]
    (first, (status, reason), last) = ends(pack)
    assert first == last == ("FINISHED", "")
    assert (status, "last.safetensors" in reason) == ("FAILED", True)


def test_a_pack_that_cannot_be_built_fails_with_its_reason(order: MakeOrder) -> None:
    pack = order("baseline=none", "algorithm.time_limit=bootstrap")
    assert work(pack, alone=lambda: False)
    assert [status for status, _ in ends(pack)] == ["FAILED"] * 3
    assert all("algorithm.time_limit=bootstrap" in reason for _, reason in ends(pack))
    assert (pack.jobs[0].folder / "error.txt").exists()
