"""Tasks for workers, the numbers of their runs, and functions that wait for workers."""

import os
import select
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from pgexp.execution.jobs import Job, Task
from pgexp.execution.workers import lease
from pgexp.execution.workers.base import TaskExit, TaskHandle, Workers
from pgexp.runs.run_log import Row, RunLogReader
from pgexp.schema.config import RunConfig
from pgexp.schema.determinism import SETTINGS
from pgexp.schema.names import TIMING
from tests.recorded_runs import train

ROOT = Path(__file__).parents[2]
SMALL = ("env=cartpole", "network.widths=[8]", "budget.steps=400", "evaluation.final_episodes=2")
# Trains until it is stopped. Its environment writes the id of its process to a pipe, which must be added.
ENDLESS = ("env.id=tests.workers.clock:Reporting-v0", "network=linear", "baseline=mean", "budget.steps=1000000000")
_TIMEOUT = 120.0  # seconds until a test fails

Numbers = tuple[list[dict[str, float]], bytes]
"""Numbers of a run: the metrics of its rows without timings, and the bytes of its policy."""


def make_task(folder: Path, configs: Sequence[RunConfig], number: int = 0) -> Task:
    """Return a task of configs in a folder with an empty manifest."""
    folder.mkdir(exist_ok=True)
    (folder / "manifest.json").touch()
    lease.acquire(folder, "ours")
    jobs = tuple(Job(config, folder / f"{number}-{run}") for run, config in enumerate(configs))
    return Task("ours", number, folder, jobs, (str(ROOT),))


def numbers(task: Task) -> list[Numbers]:
    """Return the numbers of each run of a task."""
    return [(_rows(job.folder), (job.folder / "policy" / "policy.safetensors").read_bytes()) for job in task.jobs]


def trained_here(task: Task) -> list[Numbers]:
    """Train a task's runs in this process, in other folders, and return their numbers."""
    jobs = tuple(Job(job.config, job.folder.with_name(f"{job.folder.name} here")) for job in task.jobs)
    for job in jobs:
        train(job)
    return numbers(replace(task, jobs=jobs))


def assert_trained_as_here(workers: Workers, tasks: Sequence[Task]) -> None:
    """Assert that workers that train tasks at the same time get the numbers of training in this process."""
    handles = [workers.start(task) for task in tasks]
    assert [end_of(handle) for handle in handles] == [TaskExit("done") for _ in tasks]
    for task in tasks:
        assert numbers(task) == trained_here(task)


def started_with_the_settings(process: int) -> bool:
    """Return whether a process started with the variables on which results depend."""
    variables = Path(f"/proc/{process}/environ").read_bytes().decode().split("\0")
    return {f"{name}={value}" for name, value in SETTINGS.items()} <= set(variables)


def _rows(folder: Path) -> list[dict[str, float]]:
    rows = [item for item in RunLogReader(folder / "rows.jsonl").read() if isinstance(item, Row)]
    return [
        {name: value for name, value in row.metrics.items() if not name.startswith(TIMING)} | {"steps": row.steps}
        for row in rows
    ]


def end_of(handle: TaskHandle) -> TaskExit:
    """Wait for the end of a task, and return it."""
    ended: list[TaskExit | None] = []
    wait_until(lambda: ended.append(handle.poll()) or ended[-1] is not None)
    assert ended[-1] is not None
    return ended[-1]


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until a condition is true."""
    deadline = time.monotonic() + _TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, "the workers do not answer"
        time.sleep(0.05)


class Pipe:
    """A pipe to which the environment of an endless run writes the id of its process."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "pipe"
        os.mkfifo(self._path)
        self._file = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK)

    @property
    def override(self) -> str:
        return f"+env.kwargs.pipe={self._path}"

    def process(self, handle: TaskHandle) -> int:
        """Wait until a run is in training, and return the id of its process."""
        wait_until(lambda: self._is_written(handle))
        return int(os.read(self._file, 100))

    def _is_written(self, handle: TaskHandle) -> bool:
        ended = handle.poll()
        assert ended is None, ended
        return bool(select.select([self._file], [], [], 0)[0])

    def close(self) -> None:
        os.close(self._file)
