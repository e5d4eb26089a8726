"""Queue of runs, with stub workers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pgexp.execution.jobs import Job, Task
from pgexp.execution.scheduler import Scheduler
from pgexp.execution.workers import lease
from pgexp.execution.workers.base import TaskExit, TaskHandle, Workers, WorkersError
from pgexp.runs.run_log import End, Row, RunLogReader, RunLogWriter, RunState
from pgexp.schema.errors import UserError
from tests.conftest import Compose

DONE, DIED, STOPPED = TaskExit("done"), TaskExit("died", "SIGKILL"), TaskExit("stopped")
TOKEN = "ours"
MakeJobs = Callable[..., list[Job]]


def finish(job: Job) -> None:
    RunLogWriter(job.folder / "rows.jsonl").end(RunState.FINISHED, complete=True)


def progress(job: Job) -> None:
    RunLogWriter(job.folder / "rows.jsonl").append(Row(1, 0.1, 1, {}))


@dataclass
class Stub(Workers):
    """Workers whose tasks end with the result of `work` at the next poll. None: they train forever."""

    work: Callable[[Task], TaskExit | None]
    size: int = 2
    min_steps: int = 0
    tasks: list[list[int]] = field(default_factory=list)
    busy: int = 0
    busiest: int = 0
    killed: int = 0
    cancelled: int = 0

    @property
    def count(self) -> int:
        return self.size

    def start(self, task: Task) -> TaskHandle:
        self.tasks.append([int(job.folder.name) for job in task.jobs])
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        return _StubTask(self, task)

    def wait(self, seconds: float) -> None: ...

    def close(self) -> None: ...


class _StubTask(TaskHandle):
    def __init__(self, workers: Stub, task: Task) -> None:
        self._workers, self._task = workers, task

    def poll(self) -> TaskExit | None:
        if not lease.is_held(self._task.folder, TOKEN):
            return STOPPED
        ended = self._workers.work(self._task)
        self._workers.busy -= ended is not None
        return ended

    def cancel(self) -> None:
        self._workers.cancelled += 1

    def kill(self) -> None:
        self._workers.killed += 1


@pytest.fixture
def make_jobs(clock: Compose, tmp_path: Path) -> MakeJobs:
    """Return a function that makes jobs with these budgets in steps and acquires the lease."""

    def made(*steps: int) -> list[Job]:
        lease.acquire(tmp_path, TOKEN)
        return [Job(clock(f"budget.steps={count}"), tmp_path / str(number)) for number, count in enumerate(steps)]

    return made


def run_all(workers: Workers, jobs: list[Job]) -> list[int]:
    """Train all jobs; return their numbers in the order of their ends."""
    scheduler = Scheduler(workers, jobs[0].folder.parent, TOKEN, ())
    scheduler.add(jobs)
    over: list[Job] = []
    while scheduler.is_busy:
        over += scheduler.advance()
    return [int(job.folder.name) for job in over]


def end(job: Job) -> End:
    item = RunLogReader(job.folder / "rows.jsonl").read()[-1]
    assert isinstance(item, End)
    return item


def test_each_worker_has_one_run_at_a_time(make_jobs: MakeJobs) -> None:
    workers = Stub(lambda task: DONE)
    assert run_all(workers, make_jobs(100, 100, 100)) == [0, 1, 2]
    assert workers.tasks == [[0], [1], [2]]
    assert workers.busiest == 2


def test_the_longest_runs_begin_first(make_jobs: MakeJobs) -> None:
    workers = Stub(lambda task: DONE)
    run_all(workers, make_jobs(100, 300, 200, 300))
    assert workers.tasks == [[1], [3], [2], [0]]


def test_short_runs_share_a_task_but_leave_some_for_other_workers(make_jobs: MakeJobs) -> None:
    workers = Stub(lambda task: DONE, size=1, min_steps=300)
    run_all(workers, make_jobs(*[100] * 9))
    # Three runs have the 300 steps; of the last six at most half: ceil(5 / 2) = 3, then ceil(2 / 2) = 1 each.
    assert workers.tasks == [[0, 1, 2], [3, 4, 5], [6], [7], [8]]


def test_long_runs_are_handed_out_alone(make_jobs: MakeJobs) -> None:
    workers = Stub(lambda task: DONE, size=1, min_steps=300)
    run_all(workers, make_jobs(*[300] * 4))
    assert workers.tasks == [[0], [1], [2], [3]]


def test_jobs_can_be_added_while_others_train(make_jobs: MakeJobs, tmp_path: Path) -> None:
    first, second = make_jobs(100, 100)
    workers = Stub(lambda task: DONE)
    scheduler = Scheduler(workers, tmp_path, TOKEN, ())
    scheduler.add([first])
    assert scheduler.advance() == [first]
    scheduler.add([second])
    assert scheduler.advance() == [second]
    assert not scheduler.is_busy


def test_unfinished_runs_of_a_dead_worker_are_handed_out_again(make_jobs: MakeJobs) -> None:
    def work(task: Task) -> TaskExit:
        if len(workers.tasks) == 1:
            finish(task.jobs[0])
            return DIED
        return DONE

    workers = Stub(work, size=1, min_steps=300)
    assert run_all(workers, make_jobs(*[100] * 6)) == [0, 1, 2, 3, 4, 5]
    # Of [0, 1, 2] run 0 had ended. Run 1 was in training, and resumes alone.
    assert workers.tasks == [[0, 1, 2], [1], [2, 3], [4], [5]]


def test_ended_runs_of_a_dead_worker_are_not_trained_again(make_jobs: MakeJobs) -> None:
    def work(task: Task) -> TaskExit:
        finish(task.jobs[0])
        return DIED

    workers = Stub(work)
    assert run_all(workers, make_jobs(100)) == [0]
    assert workers.tasks == [[0]]


def test_a_run_that_kills_three_workers_fails_alone(make_jobs: MakeJobs) -> None:
    def work(task: Task) -> TaskExit:
        for job in task.jobs:
            if job.folder.name == "1":
                return DIED
            finish(job)
        return DONE

    jobs = make_jobs(*[100] * 8)
    workers = Stub(work, size=1, min_steps=300)
    assert sorted(run_all(workers, jobs)) == [*range(8)]
    assert workers.tasks[:4] == [[0, 1, 2], [1], [1], [2, 3, 4]]
    assert [end(job).status for job in jobs] == ["FINISHED", "FAILED", *["FINISHED"] * 6]
    assert end(jobs[1]).reason == "its worker died 3 times: SIGKILL"
    assert not end(jobs[1]).complete  # pgexp-resume tries it again


def test_a_run_that_failed_is_not_tried_again(make_jobs: MakeJobs) -> None:
    def work(task: Task) -> TaskExit:
        RunLogWriter(task.jobs[0].folder / "rows.jsonl").end(RunState.FAILED, "the motor is stuck")
        return DIED

    jobs = make_jobs(100)
    workers = Stub(work)
    run_all(workers, jobs)
    assert workers.tasks == [[0]]
    assert end(jobs[0]).reason == "the motor is stuck"


def test_a_run_with_progress_between_deaths_continues(make_jobs: MakeJobs) -> None:
    def work(task: Task) -> TaskExit:
        progress(task.jobs[0])
        return DIED if len(workers.tasks) < 20 else DONE

    workers = Stub(work)
    run_all(workers, make_jobs(100))
    assert workers.tasks == [[0]] * 20


def test_a_failure_that_no_run_caused_ends_the_command(make_jobs: MakeJobs, tmp_path: Path) -> None:
    workers = Stub(lambda task: TaskExit("failed", "No space left on device") if task.number == 2 else None)
    scheduler = Scheduler(workers, tmp_path, TOKEN, ())
    scheduler.add(make_jobs(100, 100, 100))
    with pytest.raises(WorkersError, match="No space left on device"):
        scheduler.advance()
    scheduler.stop()
    assert workers.tasks == [[0], [1]]
    assert not lease.is_held(tmp_path, TOKEN)  # the other worker was stopped
    assert workers.killed == 0


def test_a_refused_task_is_submitted_again(make_jobs: MakeJobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster's queue may be full until a job has ended."""
    accepted: list[Task] = []

    class Full(Stub):
        def start(self, task: Task) -> TaskHandle:
            if self.busy:
                raise UserError.at("workers", "the queue is full")
            accepted.append(task)
            return super().start(task)

    monkeypatch.setattr("pgexp.execution.scheduler._RETRY_SECONDS", 0.0)
    run_all(Full(lambda task: DONE), make_jobs(100, 100))
    assert [task.jobs[0].folder.name for task in accepted] == ["0", "1"]


def test_a_task_that_no_worker_accepts_ends_the_command(make_jobs: MakeJobs) -> None:
    class Refusing(Stub):
        def start(self, task: Task) -> TaskHandle:
            raise UserError.at("workers", "no cluster")

    with pytest.raises(UserError, match="no cluster"):
        run_all(Refusing(lambda task: DONE), make_jobs(100))


def test_stop_cancels_tasks_and_waits_for_them(make_jobs: MakeJobs, tmp_path: Path) -> None:
    workers = Stub(lambda task: None)
    scheduler = Scheduler(workers, tmp_path, TOKEN, ())
    scheduler.add(make_jobs(100, 100, 100))
    scheduler.advance()
    scheduler.stop()
    assert (workers.killed, workers.cancelled) == (0, 2)
    assert not scheduler.is_busy


def test_an_interrupted_stop_kills_the_workers(
    make_jobs: MakeJobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "release", lambda folder: None)  # the workers do not reach their next update
    workers = Stub(lambda task: None)
    scheduler = Scheduler(workers, tmp_path, TOKEN, ())
    scheduler.add(make_jobs(100, 100))
    scheduler.advance()

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(workers, "wait", interrupt)
    with pytest.raises(KeyboardInterrupt):
        scheduler.stop()
    assert workers.killed == 2
