"""The queue of runs, with workers that do as they are told."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pgexp.execution import commanding
from pgexp.execution.orders import Order
from pgexp.execution.plan import Job
from pgexp.execution.scheduler import Scheduler
from pgexp.execution.workers.workers import Assignment, Ended, Workers, WorkersError
from pgexp.schema.errors import ConfigError, Problem
from pgexp.storage.spool import End, Row, SpoolReader, SpoolWriter
from tests.conftest import Compose

DONE, DIED, STOPPED = Ended("done"), Ended("died", "SIGKILL"), Ended("stopped")
TOKEN = "ours"
MakeJobs = Callable[..., list[Job]]


def finish(job: Job) -> None:
    SpoolWriter(job.folder / "rows.jsonl").end("FINISHED", complete=True)


def progress(job: Job) -> None:
    SpoolWriter(job.folder / "rows.jsonl").append(Row(1, 0.1, 1, {}))


@dataclass
class Stub(Workers):
    """Workers whose orders end as `work` says, when they are next asked; None: they work forever."""

    work: Callable[[Order], Ended | None]
    size: int = 2
    least_steps: int = 0
    orders: list[list[int]] = field(default_factory=list)
    busy: int = 0
    busiest: int = 0
    killed: int = 0
    withdrawn: int = 0

    @property
    def count(self) -> int:
        return self.size

    def start(self, order: Order) -> Assignment:
        self.orders.append([int(job.folder.name) for job in order.jobs])
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        return _Assigned(self, order)

    def wait(self, seconds: float) -> None: ...

    def close(self) -> None: ...


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
def make_jobs(clock: Compose, tmp_path: Path) -> MakeJobs:
    """Return a function that makes jobs of such budgets, in steps, and takes the lease for them."""

    def made(*steps: int) -> list[Job]:
        commanding.take_over(tmp_path, TOKEN)
        return [Job(clock(f"budget.steps={count}"), tmp_path / str(number)) for number, count in enumerate(steps)]

    return made


def run_all(workers: Workers, jobs: list[Job]) -> list[int]:
    """Train all jobs; return their numbers in the order in which they ended."""
    scheduler = Scheduler(workers, jobs[0].folder.parent, TOKEN, ())
    scheduler.add(jobs)
    over: list[Job] = []
    while scheduler.is_busy:
        over += scheduler.advance()
    return [int(job.folder.name) for job in over]


def end(job: Job) -> End:
    item = SpoolReader(job.folder / "rows.jsonl").read()[-1]
    assert isinstance(item, End)
    return item


def test_each_worker_has_one_run_at_a_time(make_jobs: MakeJobs) -> None:
    workers = Stub(lambda order: DONE)
    assert run_all(workers, make_jobs(100, 100, 100)) == [0, 1, 2]
    assert workers.orders == [[0], [1], [2]]
    assert workers.busiest == 2


def test_the_longest_runs_begin_first(make_jobs: MakeJobs) -> None:
    workers = Stub(lambda order: DONE)
    run_all(workers, make_jobs(100, 300, 200, 300))
    assert workers.orders == [[1], [3], [2], [0]]


def test_short_runs_are_handed_out_together_but_not_the_share_of_other_workers(make_jobs: MakeJobs) -> None:
    workers = Stub(lambda order: DONE, size=1, least_steps=300)
    run_all(workers, make_jobs(*[100] * 9))
    # Three runs have the 300 steps; of the last six at most half: ceil(5 / 2) = 3, then ceil(2 / 2) = 1 each.
    assert workers.orders == [[0, 1, 2], [3, 4, 5], [6], [7], [8]]


def test_long_runs_are_handed_out_alone(make_jobs: MakeJobs) -> None:
    workers = Stub(lambda order: DONE, size=1, least_steps=300)
    run_all(workers, make_jobs(*[300] * 4))
    assert workers.orders == [[0], [1], [2], [3]]


def test_jobs_can_be_added_while_others_train(make_jobs: MakeJobs, tmp_path: Path) -> None:
    first, second = make_jobs(100, 100)
    workers = Stub(lambda order: DONE)
    scheduler = Scheduler(workers, tmp_path, TOKEN, ())
    scheduler.add([first])
    assert scheduler.advance() == [first]
    scheduler.add([second])
    assert scheduler.advance() == [second]
    assert not scheduler.is_busy


def test_a_dead_worker_s_runs_are_handed_out_again_except_those_that_ended(make_jobs: MakeJobs) -> None:
    def work(order: Order) -> Ended:
        if len(workers.orders) == 1:
            finish(order.jobs[0])
            return DIED
        return DONE

    workers = Stub(work, size=1, least_steps=300)
    assert run_all(workers, make_jobs(*[100] * 6)) == [0, 1, 2, 3, 4, 5]
    # Of [0, 1, 2] run 0 had ended. Run 1 was in training, and resumes alone.
    assert workers.orders == [[0, 1, 2], [1], [2, 3], [4], [5]]


def test_a_dead_worker_s_run_that_had_ended_is_not_handed_out_again(make_jobs: MakeJobs) -> None:
    def work(order: Order) -> Ended:
        finish(order.jobs[0])
        return DIED

    workers = Stub(work)
    assert run_all(workers, make_jobs(100)) == [0]
    assert workers.orders == [[0]]


def test_a_run_that_kills_its_workers_three_times_fails_alone(make_jobs: MakeJobs) -> None:
    def work(order: Order) -> Ended:
        for job in order.jobs:
            if job.folder.name == "1":
                return DIED
            finish(job)
        return DONE

    jobs = make_jobs(*[100] * 8)
    workers = Stub(work, size=1, least_steps=300)
    assert sorted(run_all(workers, jobs)) == [*range(8)]
    assert workers.orders[:4] == [[0, 1, 2], [1], [1], [2, 3, 4]]
    assert [end(job).status for job in jobs] == ["FINISHED", "FAILED", *["FINISHED"] * 6]
    assert end(jobs[1]).reason == "its worker died 3 times: SIGKILL"
    assert not end(jobs[1]).complete  # pgexp-resume tries it again


def test_a_run_that_failed_is_not_tried_again(make_jobs: MakeJobs) -> None:
    def work(order: Order) -> Ended:
        SpoolWriter(order.jobs[0].folder / "rows.jsonl").end("FAILED", "the motor is stuck")
        return DIED

    jobs = make_jobs(100)
    workers = Stub(work)
    run_all(workers, jobs)
    assert workers.orders == [[0]]
    assert end(jobs[0]).reason == "the motor is stuck"


def test_a_run_that_progresses_between_two_deaths_is_never_given_up(make_jobs: MakeJobs) -> None:
    def work(order: Order) -> Ended:
        progress(order.jobs[0])
        return DIED if len(workers.orders) < 20 else DONE

    workers = Stub(work)
    run_all(workers, make_jobs(100))
    assert workers.orders == [[0]] * 20


def test_a_failure_that_is_not_a_run_s_own_ends_the_command(make_jobs: MakeJobs, tmp_path: Path) -> None:
    workers = Stub(lambda order: Ended("failed", "No space left on device") if order.number == 2 else None)
    scheduler = Scheduler(workers, tmp_path, TOKEN, ())
    scheduler.add(make_jobs(100, 100, 100))
    with pytest.raises(WorkersError, match="No space left on device"):
        scheduler.advance()
    scheduler.dismiss()
    assert workers.orders == [[0], [1]]
    assert not commanding.is_in_command(tmp_path, TOKEN)  # the other worker was dismissed, and awaited
    assert workers.killed == 0


def test_a_refused_order_waits_while_others_train(make_jobs: MakeJobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster's queue may be full: refused at first, accepted once a job has ended."""
    accepted: list[Order] = []

    class Full(Stub):
        def start(self, order: Order) -> Assignment:
            if self.busy:
                raise ConfigError([Problem("workers", "the queue is full")])
            accepted.append(order)
            return super().start(order)

    monkeypatch.setattr("pgexp.execution.scheduler._REFUSED", 0.0)
    run_all(Full(lambda order: DONE), make_jobs(100, 100))
    assert [order.jobs[0].folder.name for order in accepted] == ["0", "1"]


def test_an_order_that_no_worker_accepts_ends_the_command(make_jobs: MakeJobs) -> None:
    class Refusing(Stub):
        def start(self, order: Order) -> Assignment:
            raise ConfigError([Problem("workers", "no cluster")])

    with pytest.raises(ConfigError, match="no cluster"):
        run_all(Refusing(lambda order: DONE), make_jobs(100))


def test_dismissed_workers_stop_with_checkpoints(make_jobs: MakeJobs, tmp_path: Path) -> None:
    workers = Stub(lambda order: None)
    scheduler = Scheduler(workers, tmp_path, TOKEN, ())
    scheduler.add(make_jobs(100, 100, 100))
    scheduler.advance()
    scheduler.dismiss()
    assert (workers.killed, workers.withdrawn) == (0, 2)
    assert not scheduler.is_busy


def test_a_dismissal_that_is_interrupted_kills_the_workers(
    make_jobs: MakeJobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commanding, "dismiss", lambda folder: None)  # the workers do not reach their next update
    workers = Stub(lambda order: None)
    scheduler = Scheduler(workers, tmp_path, TOKEN, ())
    scheduler.add(make_jobs(100, 100))
    scheduler.advance()

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(workers, "wait", interrupt)
    with pytest.raises(KeyboardInterrupt):
        scheduler.dismiss()
    assert workers.killed == 2
