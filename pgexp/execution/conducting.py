"""Conducts a sweep: hands its packs to workers, and hands them out again where a worker dies.

A dead worker's pack goes on from its checkpoints. If its workers die again and again, and it gets nowhere, it is halved
each time: since a run does not know what pack it is in, this costs no bit, and in the end the run that kills its worker
stands alone, and fails.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from pgexp.execution import commanding
from pgexp.execution.checkpoints import checkpoint_path
from pgexp.execution.interrupts import Interrupts
from pgexp.execution.journal import Journal
from pgexp.execution.orders import Order
from pgexp.execution.plan import Job
from pgexp.execution.report import read_result
from pgexp.execution.workers.workers import Assignment, Ended, Workers, WorkersError
from pgexp.schema.errors import ConfigError
from pgexp.schema.names import ROWS_FILE

_PERIOD = 0.1  # seconds between two looks at the workers
_SELDOM = 1.0  # seconds between two looks at how the runs stand
_REFUSED = 30.0  # seconds until a pack is offered again that workers would not take, while others have theirs
_DEATHS = 2  # in a row, of the workers of a pack that gets nowhere, until it is halved; of a single run one more


@dataclass
class _Task:
    """A pack that is waited for, and how often in a row its workers have died since it last got on."""

    order: Order
    deaths: int = 0
    reached: object = None


def conduct(orders: Iterable[Order], workers: Workers, look: Callable[[], bool]) -> None:
    """Have every order's runs trained to their ends, well or not.

    `look` is called each second, and returns whether the work is to stop. Then, and at Ctrl-C or SIGTERM, the
    runs in training keep a checkpoint; a second interrupt does not wait for that. Raises KeyboardInterrupt where it was
    interrupted, WorkersError, and ConfigError where no worker can be had.
    """
    seldom = _seldom(look)
    with Interrupts() as interrupts:
        baton = _Baton(workers, [_Task(order) for order in orders])
        try:
            while baton.is_busy and not interrupts.noted:
                baton.advance()
                if seldom():
                    return
                time.sleep(_PERIOD)
        finally:
            baton.dismiss(seldom)
        if interrupts.noted:
            raise KeyboardInterrupt


def _seldom(look: Callable[[], bool]) -> Callable[[], bool]:
    """Return what looks when it is called, but no more often than each second; between two looks it finds nothing."""
    due = 0.0

    def seldom() -> bool:
        nonlocal due
        if time.monotonic() < due:
            return False
        due = time.monotonic() + _SELDOM
        return look()

    return seldom


class _Baton:
    """The packs that wait, and those that are worked on."""

    def __init__(self, workers: Workers, tasks: Iterable[_Task]) -> None:
        self._workers = workers
        self._waiting = deque(tasks)
        self._working: list[tuple[_Task, Assignment]] = []
        self._due = 0.0  # when a pack may be handed out again

    @property
    def is_busy(self) -> bool:
        return bool(self._waiting or self._working)

    def advance(self) -> None:
        """Take in what has ended, and hand out what waits. Raises WorkersError, and ConfigError where none take any."""
        for task, assignment in [*self._working]:
            ended = assignment.ended()
            if ended is not None:
                self._working.remove((task, assignment))
                self._take(task, ended)
        while self._waiting and len(self._working) < self._workers.count and time.monotonic() >= self._due:
            task = self._waiting[0]
            task.reached = _reached(task.order)
            try:
                self._working.append((task, self._workers.start(task.order)))
            except (ConfigError, WorkersError):
                if not self._working:
                    raise
                self._due = time.monotonic() + _REFUSED  # a queue may be full; nothing is lost by waiting
            else:
                self._waiting.popleft()

    def dismiss(self, look: Callable[[], bool]) -> None:
        """Let those that work keep a checkpoint, and stop; where even that is interrupted, end them."""
        if not self._working:
            return
        commanding.dismiss(self._working[0][0].order.folder)
        for _, assignment in self._working:
            assignment.withdraw()
        try:
            while self._working:
                self._working = [each for each in self._working if each[1].ended() is None]
                look()
                time.sleep(_PERIOD)
        finally:
            for _, assignment in self._working:
                assignment.kill()

    def _take(self, task: _Task, ended: Ended) -> None:
        if ended.how == "failed":
            raise WorkersError(ended.reason)
        if ended.how == "done":
            return
        left = tuple(job for job in task.order.jobs if not _is_over(job))
        if not left:
            return
        order = replace(task.order, jobs=left)
        deaths = task.deaths + 1 if _reached(task.order) == task.reached else 1
        if deaths < _DEATHS or (len(left) == 1 and deaths == _DEATHS):
            self._waiting.appendleft(_Task(order, deaths))
        elif len(left) > 1:
            middle = len(left) // 2
            halves = [replace(order, jobs=left[:middle]), replace(order, jobs=left[middle:])]
            self._waiting.extendleft(_Task(half, deaths - 1) for half in reversed(halves))
        else:
            _fail(left[0], f"its worker died {deaths} times: {ended.reason}")


def _reached(order: Order) -> object:
    """Return what changes whenever a pack gets on: its spools' sizes, and when its checkpoints were kept."""
    spools = [job.folder / ROWS_FILE for job in order.jobs]
    checkpoints = [checkpoint_path(job.folder, "last") for job in order.jobs]
    sizes = [path.stat().st_size for path in spools if path.exists()]
    return sizes, [path.stat().st_mtime_ns for path in checkpoints if path.exists()]


def _is_over(job: Job) -> bool:
    """Return whether this command is done with a run: it has finished, or failed, which is not tried again here."""
    end = read_result(job.folder).end
    return end is not None and end.status != "KILLED"


def _fail(job: Job, reason: str) -> None:
    Journal(job.folder).end("FAILED", reason)
