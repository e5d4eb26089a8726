"""Orders for workers, the records of their runs, and functions that wait for workers."""

import os
import select
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from pgexp.execution import commanding
from pgexp.execution.orders import Order
from pgexp.execution.plan import Job
from pgexp.execution.work import train_run
from pgexp.execution.workers.workers import Assignment, Ended, Workers
from pgexp.schema.config import RunConfig
from pgexp.schema.determinism import SETTINGS
from pgexp.schema.names import TIMING
from pgexp.storage.spool import Row, SpoolReader

ROOT = Path(__file__).parents[2]
SMALL = ("env=cartpole", "network.widths=[8]", "budget.steps=400", "evaluation.final_episodes=2")
# Trains until it is stopped, and says in which process. A pipe is to be added.
ENDLESS = ("env.id=tests.workers.clock:Reporting-v0", "network=linear", "baseline=mean", "budget.steps=1000000000")
_LONGEST = 120.0  # seconds after which a worker that does not answer fails its test

Left = tuple[list[dict[str, float]], bytes]
"""A run's numbers: its rows' metrics without timings, and its policy's bytes."""


def made_order(folder: Path, configs: Sequence[RunConfig], number: int = 0) -> Order:
    """Return the order to train configs, each in a folder of its own below one that holds a record."""
    folder.mkdir(exist_ok=True)
    (folder / "record.json").touch()
    commanding.take_over(folder, "ours")
    jobs = tuple(Job(config, folder / f"{number}-{run}") for run, config in enumerate(configs))
    return Order("ours", number, folder, jobs, (str(ROOT),))


def left(order: Order) -> list[Left]:
    """Return the numbers of each run of an order."""
    return [(_rows(job.folder), (job.folder / "policy" / "policy.safetensors").read_bytes()) for job in order.jobs]


def trained_here(order: Order) -> list[Left]:
    """Train an order's runs in this process, in other folders, and return the numbers of their records."""
    jobs = tuple(Job(job.config, job.folder.with_name(f"{job.folder.name} here")) for job in order.jobs)
    for job in jobs:
        train_run(job, lambda share, rate, return_mean: None)
    return left(replace(order, jobs=jobs))


def assert_trained_as_here(workers: Workers, orders: Sequence[Order]) -> None:
    """Assert that workers that train orders at the same time leave the numbers of training in this process."""
    assignments = [workers.start(order) for order in orders]
    assert [end_of(assignment) for assignment in assignments] == [Ended("done") for _ in orders]
    for order in orders:
        assert left(order) == trained_here(order)


def began_with_the_settings(process: int) -> bool:
    """Return whether a process had the settings that bits depend on before it loaded anything."""
    began = Path(f"/proc/{process}/environ").read_bytes().decode().split("\0")
    return {f"{name}={value}" for name, value in SETTINGS.items()} <= set(began)


def _rows(folder: Path) -> list[dict[str, float]]:
    rows = [item for item in SpoolReader(folder / "rows.jsonl").read() if isinstance(item, Row)]
    return [
        {name: value for name, value in row.metrics.items() if not name.startswith(TIMING)} | {"steps": row.steps}
        for row in rows
    ]


def end_of(assignment: Assignment) -> Ended:
    """Wait for the end of an assignment, and return it."""
    ended: list[Ended | None] = []
    until(lambda: ended.append(assignment.ended()) or ended[-1] is not None)
    assert ended[-1] is not None
    return ended[-1]


def until(true: Callable[[], bool]) -> None:
    """Wait until a function returns true."""
    deadline = time.monotonic() + _LONGEST
    while not true():
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

    def process(self, assignment: Assignment) -> int:
        """Wait until a run is in training, and return the id of its process."""
        until(lambda: self._is_written(assignment))
        return int(os.read(self._file, 100))

    def _is_written(self, assignment: Assignment) -> bool:
        ended = assignment.ended()
        assert ended is None, ended
        return bool(select.select([self._file], [], [], 0)[0])

    def close(self) -> None:
        os.close(self._file)
