"""Bank of environments in worker processes, each of which steps its share of the rows."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pgexp.envs.bank import Bank, Start, Transition
from pgexp.envs.worker import Worker, WorkerEndedError
from pgexp.functional.arrays import Floats, Observations, Rows


@dataclass
class _Episode:
    """An open episode: its seed and its actions determine it."""

    seed: int
    observation: Observations  # the last one, [O]
    actions: list[Any] = field(default_factory=list)


class WorkerBank(Bank):
    """Environments in worker processes; row i belongs to worker i modulo their number.

    Equal to what `build` returns, bit for bit. A process that ends is replaced once per call: the new one plays its
    open episodes again, and the call is repeated. If it ends again, WorkerEndedError is raised.
    """

    def __init__(self, build: Callable[[], Bank], workers: int) -> None:
        """Set the number of workers; each builds a bank of its own, so `build` must be picklable."""
        self._build, self._count = build, workers
        self._workers: list[Worker] = []  # started at the first call
        self._open: dict[int, _Episode] = {}  # by row

    def start(self, rows: Rows, seeds: Sequence[int]) -> Start:
        """Begin an episode in each of the rows, all workers at the same time."""
        for row in rows.tolist():
            self._open.pop(row, None)
        found = Start(*_joined(list(self._call("start", rows, np.array(seeds, dtype=object))), len(rows)))
        for row, seed, observation in zip(rows.tolist(), seeds, found.observations, strict=True):
            self._open[row] = _Episode(seed, observation)
        return found

    def step(self, rows: Rows, actions: Floats) -> Transition:
        """Step each of the rows, all workers at the same time."""
        found = Transition(*_joined(list(self._call("step", rows, actions)), len(rows)))
        ended = found.terminated | found.truncated
        for i, row in enumerate(rows.tolist()):
            if ended[i]:
                del self._open[row]
            else:
                self._open[row].actions.append(actions[i])
                self._open[row].observation = found.observations[i]
        return found

    def close(self) -> None:
        """End the workers, and wait until they have ended."""
        for worker in self._workers:
            worker.let_go()
        for worker in self._workers:
            worker.wait()
        self._workers = []

    def _call(self, name: str, rows: Rows, values: NDArray[Any]) -> Iterator[tuple[NDArray[np.int64], Any]]:
        """Ask each worker for its rows, one value each; yield the places of its rows and its answer."""
        try:
            if not self._workers:
                self._workers = [Worker(self._build) for _ in range(self._count)]
                for worker in self._workers:
                    worker.answer()
            owner = rows % self._count
            shares = {number: np.flatnonzero(owner == number) for number in np.unique(owner).tolist()}
            for number, places in shares.items():
                self._workers[number].ask(name, rows[places], values[places])
            for number, places in shares.items():
                try:
                    answer = self._workers[number].answer()
                except WorkerEndedError:
                    self._replace(number)
                    answer = self._workers[number].call(name, rows[places], values[places])
                yield places, answer
        except BaseException:  # Ctrl-C too: an answer that nobody read would be taken for the next one's
            self.close()
            raise

    def _replace(self, number: int) -> None:
        """Start a new worker in place of one that ended, and play its open episodes again."""
        self._workers[number].let_go()
        self._workers[number].wait()
        worker = self._workers[number] = Worker(self._build)
        worker.answer()
        for row, episode in self._open.items():
            if row % self._count != number:
                continue
            found = worker.call("start", np.array([row]), [episode.seed])
            for action in episode.actions:
                found = worker.call("step", np.array([row]), np.array([action]))
            if not np.array_equal(found.observations[0], episode.observation, equal_nan=True):
                raise RuntimeError(
                    "the environment does not repeat an episode from its seed and actions, which is needed because its "
                    "worker process ended"
                )


def _joined(parts: Sequence[tuple[NDArray[np.int64], Any]], count: int) -> list[Any]:
    """Return the workers' arrays as arrays of all rows, each row at its place."""
    joined = [None if array is None else np.zeros((count, *array.shape[1:]), array.dtype) for array in parts[0][1]]
    for places, arrays in parts:
        for whole, part in zip(joined, arrays, strict=True):
            if whole is not None:
                whole[places] = part
    return joined
