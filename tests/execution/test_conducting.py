"""Packs are handed to workers, and again where a worker dies; here by workers that do as they are told."""

import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pgexp.execution import commanding
from pgexp.execution.conducting import conduct
from pgexp.execution.orders import Order
from pgexp.execution.plan import Job
from pgexp.execution.workers.workers import Assignment, Ended, Workers, WorkersError
from pgexp.storage.spool import End, Row, SpoolReader, SpoolWriter
from tests.conftest import Compose

DONE, DIED, STOPPED = Ended("done"), Ended("died", "SIGKILL"), Ended("stopped")
TOKEN = "ours"


def finish(job: Job) -> None:
    SpoolWriter(job.folder / "rows.jsonl").end("FINISHED", complete=True)


def get_on(job: Job) -> None:
    SpoolWriter(job.folder / "rows.jsonl").append(Row(1, 0.1, 1, {}))


@dataclass
class Stub(Workers):
    """Workers whose packs end as `work` says, when they are next asked; None: they work for ever."""

    work: Callable[[Order], Ended | None]
    size: int = 2
    orders: list[Order] = field(default_factory=list)
    busy: int = 0
    busiest: int = 0
    killed: int = 0
    withdrawn: int = 0

    @property
    def count(self) -> int:
        return self.size

    def start(self, order: Order) -> Assignment:
        self.orders.append(order)
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        return _Assigned(self, order)

    def close(self) -> None: ...

    @property
    def packs(self) -> list[list[int]]:
        """The jobs of each pack, in the order in which they were handed out."""
        return [[int(job.folder.name) for job in order.jobs] for order in self.orders]


class _Assigned(Assignment):
    def __init__(self, workers: Stub, order: Order) -> None:
        self._workers, self._order = workers, order

    def ended(self) -> Ended | None:
        if not commanding.is_in_command(self._order.folder, TOKEN):
            return STOPPED
        ended = self._workers.work(self._order)
        self._workers.busy -= ended is not None
        return ended

    def withdraw(self) -> None:
        self._workers.withdrawn += 1

    def kill(self) -> None:
        self._workers.killed += 1


@pytest.fixture
def orders(clock: Compose, tmp_path: Path) -> Callable[[Sequence[int]], list[Order]]:
    """Makes packs of such sizes."""
    config = clock()

    def made(sizes: Sequence[int]) -> list[Order]:
        commanding.take_over(tmp_path, TOKEN)
        jobs = [Job(config, tmp_path / str(number)) for number in range(sum(sizes))]
        begins = [sum(sizes[:pack]) for pack in range(len(sizes))]
        parts = [tuple(jobs[begin : begin + size]) for begin, size in zip(begins, sizes, strict=True)]
        return [Order(TOKEN, number, tmp_path, part, ()) for number, part in enumerate(parts)]

    return made


Orders = Callable[[Sequence[int]], list[Order]]


def end(job: Job) -> End:
    item = SpoolReader(job.folder / "rows.jsonl").read()[-1]
    assert isinstance(item, End)
    return item


def go_on() -> bool:
    return False


def test_each_worker_has_a_pack_at_a_time(orders: Orders) -> None:
    workers = Stub(lambda order: DONE)
    conduct(orders([2, 2, 1]), workers, go_on)
    assert workers.packs == [[0, 1], [2, 3], [4]]
    assert workers.busiest == 2


def test_a_dead_worker_s_pack_is_handed_out_again_without_what_is_done(orders: Orders) -> None:
    def work(order: Order) -> Ended:
        if len(workers.orders) > 1:
            return DONE
        finish(order.jobs[1])
        return DIED

    workers = Stub(work)
    conduct(orders([3]), workers, go_on)
    assert workers.packs == [[0, 1, 2], [0, 2]]


def test_a_dead_worker_s_pack_that_was_done_is_not_handed_out_again(orders: Orders) -> None:
    def work(order: Order) -> Ended:
        for job in order.jobs:
            finish(job)
        return DIED

    workers = Stub(work)
    conduct(orders([2]), workers, go_on)
    assert workers.packs == [[0, 1]]


def test_a_run_that_kills_its_workers_is_found_by_halves_and_fails_alone(orders: Orders) -> None:
    def work(order: Order) -> Ended:
        if "2" in [job.folder.name for job in order.jobs]:
            return DIED
        for job in order.jobs:
            finish(job)
        return DONE

    workers = Stub(work, size=1)
    (order,) = orders([4])
    conduct([order], workers, go_on)
    assert workers.packs == [[0, 1, 2, 3], [0, 1, 2, 3], [0, 1], [2, 3], [2], [2], [3]]
    assert [end(job).status for job in order.jobs] == ["FINISHED", "FINISHED", "FAILED", "FINISHED"]
    assert end(order.jobs[2]).reason == "its worker died 3 times: SIGKILL"
    assert not end(order.jobs[2]).complete  # pgexp-resume tries it again


def test_a_run_that_failed_beside_one_that_kills_its_workers_is_not_tried_again(orders: Orders) -> None:
    def work(order: Order) -> Ended:
        for job in order.jobs:
            if job.folder.name == "0":
                SpoolWriter(job.folder / "rows.jsonl").end("FAILED", "the motor is stuck")
        return DIED

    workers = Stub(work, size=1)
    (order,) = orders([2])
    conduct([order], workers, go_on)
    assert workers.packs == [[0, 1], [1], [1]]
    assert [end(job).reason for job in order.jobs] == ["the motor is stuck", "its worker died 3 times: SIGKILL"]


def test_a_pack_that_gets_on_between_two_deaths_is_never_given_up(orders: Orders) -> None:
    def work(order: Order) -> Ended:
        get_on(order.jobs[0])
        return DIED if len(workers.orders) < 20 else DONE

    workers = Stub(work)
    conduct(orders([2]), workers, go_on)
    assert workers.packs == [[0, 1]] * 20


def test_what_is_no_run_s_own_failure_ends_it_all(orders: Orders, tmp_path: Path) -> None:
    workers = Stub(lambda order: Ended("failed", "No space left on device") if order.number else None)
    with pytest.raises(WorkersError, match="No space left on device"):
        conduct(orders([1, 1, 1]), workers, go_on)
    assert workers.packs == [[0], [1]]
    assert not commanding.is_in_command(tmp_path, TOKEN)  # the other worker was dismissed, and waited for
    assert workers.killed == 0


def test_who_looks_may_stop_it(orders: Orders, tmp_path: Path) -> None:
    looks = iter([False, False, True])
    workers = Stub(lambda order: None)
    conduct(orders([1, 1, 1]), workers, lambda: next(looks, True))
    assert workers.packs == [[0], [1]]
    assert not commanding.is_in_command(tmp_path, TOKEN)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_dismisses_the_workers_and_waits_for_their_checkpoints(orders: Orders, number: int) -> None:
    def interrupt() -> bool:
        if not workers.killed and len(workers.orders) == 2:
            signal.raise_signal(number)
        return False

    workers = Stub(lambda order: None)
    with pytest.raises(KeyboardInterrupt):
        conduct(orders([1, 1]), workers, interrupt)
    assert (workers.killed, workers.withdrawn) == (0, 2)  # those that wait for their turn do not come to it


def test_a_second_interrupt_does_not_wait(orders: Orders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commanding, "dismiss", lambda folder: None)  # who works does not come to its next update

    def interrupt() -> bool:
        signal.raise_signal(signal.SIGINT)
        return False

    workers = Stub(lambda order: None)
    with pytest.raises(KeyboardInterrupt):
        conduct(orders([1, 1]), workers, interrupt)
    assert workers.killed == 2
