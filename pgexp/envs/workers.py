"""Slots spread over worker processes, each of which steps its share of the rows; one that dies is replaced."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pgexp.envs.slots import Slots, Start, Transition
from pgexp.envs.worker import Worker, WorkerEndedError
from pgexp.functional.arrays import Actions, Observations, Rows


class _Part(NamedTuple):
    """What a worker told of some of the rows that were asked for, by their places among these."""

    places: NDArray[np.int64]
    told: Start | Transition


@dataclass
class _Episode:
    """What it takes to play an open episode again: an environment's episode follows from its seed and its actions."""

    seed: int
    observation: Observations  # the last one, [O]
    actions: list[Any] = field(default_factory=list)


class WorkerSlots(Slots):
    """Slots that worker processes hold; row i is held by worker i modulo their number.

    Equal to what `build` returns, bit for bit: a row's environment does not know in which process it stands. Where a
    process dies, a new one plays what was open in it again and is asked row by row, so that the row that it dies of is
    found, and fails alone.
    """

    def __init__(self, build: Callable[[], Slots], workers: int) -> None:
        """Say how many there are; each builds a bank of its own, so `build` has to be one that pickles."""
        self._build, self._count = build, workers
        self._workers: list[Worker] = []  # started when they are first needed
        self._open: dict[int, _Episode] = {}  # by row
        self._failures: dict[int, Exception] = {}  # of the call in hand

    def start(self, rows: Rows, seeds: Sequence[int]) -> Start:
        """Begin an episode in each of the rows, all workers at the same time."""
        for row in rows.tolist():
            self._open.pop(row, None)
        (observations,) = self._call("start", rows, np.array(seeds, dtype=object))
        return Start(observations, self._failures)

    def step(self, rows: Rows, actions: Actions) -> Transition:
        """Step each of the rows, all workers at the same time."""
        observations, rewards, terminated, truncated = self._call("step", rows, actions)
        return Transition(observations, rewards, terminated, truncated, self._failures)

    def close(self) -> None:
        """End the workers, and wait until they have."""
        for worker in self._workers:
            worker.let_go()
        for worker in self._workers:
            worker.wait()
        self._workers = []

    def _call(self, name: str, rows: Rows, values: NDArray[Any]) -> list[NDArray[Any]]:
        """Ask each worker for its rows, one value each; return the arrays of what they told, [M, ...] each.

        `_failures` says then which rows failed, those included that were lost with a worker.
        """
        self._failures, parts = {}, []
        try:
            for part in self._parts(name, rows, values):
                self._note(rows[part.places], values[part.places], part.told)
                parts.append(part)
        except BaseException:  # Ctrl-C too: an answer that nobody heard would be taken for the next one's
            self.close()
            raise
        places = [part.places for part in parts]
        return [_joined(places, arrays, len(rows)) for arrays in zip(*(part.told[:-1] for part in parts), strict=True)]

    def _note(self, rows: Rows, values: NDArray[Any], told: Start | Transition) -> None:
        """Note what it would take to play the rows' episodes again up to here, where they are still open."""
        for row, value, observation in zip(rows.tolist(), values, told.observations, strict=True):
            if isinstance(told, Start):
                self._open[row] = _Episode(value, observation)
            elif row in self._open:
                self._open[row].actions.append(value)
                self._open[row].observation = observation
        if isinstance(told, Transition):
            for row in rows[told.terminated | told.truncated].tolist():
                self._open.pop(row, None)
        for row, error in told.failures.items():
            self._fail(row, error)

    def _parts(self, name: str, rows: Rows, values: NDArray[Any]) -> Iterator[_Part]:
        if not self._workers:
            self._workers = [Worker(self._build) for _ in range(self._count)]
            for worker in self._workers:
                worker.answer()
        holder = rows % self._count
        shares = {worker: np.flatnonzero(holder == worker) for worker in np.unique(holder).tolist() or [0]}
        for number, places in shares.items():
            self._workers[number].ask(name, rows[places], values[places])
        for number, places in shares.items():
            try:
                yield _Part(places, self._workers[number].answer())
            except WorkerEndedError:
                yield from self._one_by_one(number, places, name, rows, values)

    def _one_by_one(
        self, number: int, places: NDArray[np.int64], name: str, rows: Rows, values: NDArray[Any]
    ) -> Iterator[_Part]:
        """Replace a worker that died, and ask for the rows one by one; one under which it dies again fails."""
        self._replace(number)
        for place in (*places[:, None], places[:0]):  # that of no row says how its arrays are shaped
            if not self._failures.keys().isdisjoint(rows[place].tolist()):
                continue
            try:
                self._workers[number].ask(name, rows[place], values[place])
                yield _Part(place, self._workers[number].answer())
            except WorkerEndedError as error:
                for row in rows[place].tolist():
                    self._fail(row, error)
                self._replace(number)

    def _replace(self, number: int) -> None:
        """Start a worker in place of another, and play again what was open in it."""
        while True:
            self._workers[number].let_go()
            self._workers[number].wait()
            worker = self._workers[number] = Worker(self._build)
            worker.answer()
            row = -1
            try:
                for row in [row for row in self._open if row % self._count == number]:
                    self._play_again(worker, row)
                return
            except WorkerEndedError as error:
                self._fail(row, error)

    def _play_again(self, worker: Worker, row: int) -> None:
        episode, rows = self._open[row], np.array([row])
        told = worker.call("start", rows, [episode.seed])
        for action in episode.actions:
            if not told.failures:
                told = worker.call("step", rows, np.array([action]))
        for error in told.failures.values():
            self._fail(row, error)
        if not told.failures and not np.array_equal(told.observations[0], episode.observation, equal_nan=True):
            text = (
                "the environment did not play an episode again as before, after the worker process that held it ended"
            )
            self._fail(row, RuntimeError(text))

    def _fail(self, row: int, error: Exception) -> None:
        self._failures[row] = error
        self._open.pop(row, None)


def _joined(places: Sequence[NDArray[np.int64]], parts: Sequence[NDArray[Any]], count: int) -> NDArray[Any]:
    """Return the workers' parts as one array of so many rows, each of theirs at its place, and zeros where none is."""
    joined = np.zeros((count, *parts[0].shape[1:]), parts[0].dtype)
    for place, part in zip(places, parts, strict=True):
        joined[place] = part
    return joined
