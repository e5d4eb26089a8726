"""Cuts a command's jobs into packs: by what shapes their programs, and then to fit the memory and the workers."""

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pgexp.execution.plan import Job, packs
from pgexp.schema.sweep import Sweep

MOST: Final = 64  # runs of a pack, unless the config says
WORKER: Final = 400 * 2**20  # bytes that a worker takes before its first run: Python, torch, Gymnasium

_SHARE = 0.7  # of the memory that is free, for all packs that train at once
_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Packed:
    """A pack: the indices of its jobs, and the bytes that it is estimated to take, its worker's own included."""

    indices: Sequence[int]
    memory: int


def packed(jobs: Sequence[Job], footprints: Sequence[int], workers: int, sweep: Sweep) -> list[Packed]:
    """Return the packs of jobs, those that take longest first. footprints: each job's bytes in a pack.

    Jobs of one structure are cut into packs of nearly equal sizes: as few as there can be, but with no more runs than
    `sweep` allows, no more than fit the memory when every worker has one, and enough for each worker to have its share.
    """
    memory = sweep.memory * 2**30 if sweep.memory != "auto" else _SHARE * free_memory()
    most = MOST if sweep.max_runs_per_pack == "auto" else sweep.max_runs_per_pack
    found = []
    for group in packs(jobs):
        largest = max(footprints[index] for index in group)
        fitting = max(1, int((memory / max(1, workers) - WORKER) // largest))
        parts = max(math.ceil(len(group) / min(most, fitting)), round(workers * len(group) / len(jobs)))
        found += [Packed(part, WORKER + sum(footprints[i] for i in part)) for part in _cut(group, parts)]
    return sorted(found, key=lambda pack: -sum(_length(jobs[index]) for index in pack.indices))


def free_memory() -> int:
    """Return the bytes of memory that this process, and those that it starts, may still take."""
    found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():  # it counts what is only cached, too
        lines = dict(line.split(":") for line in meminfo.read_text().splitlines())
        found = int(lines["MemAvailable"].split()[0]) * 1024
    limit, used = _CGROUP / "memory.max", _CGROUP / "memory.current"
    if limit.exists() and used.exists() and limit.read_text().strip().isdigit():
        found = min(found, int(limit.read_text()) - int(used.read_text()) + _cached())
    return max(0, found)


def _cached() -> int:
    """Return the bytes of a container's memory that are only cached, and are given back when they are wanted."""
    stat = dict(line.split() for line in (_CGROUP / "memory.stat").read_text().splitlines())
    return int(stat.get("inactive_file", 0))


def _cut(group: Sequence[int], parts: int) -> Iterator[Sequence[int]]:
    parts = min(max(1, parts), len(group))
    for part in range(parts):
        yield group[part * len(group) // parts : (part + 1) * len(group) // parts]


def _length(job: Job) -> float:
    """Return what is known beforehand of how long a run takes, in steps; an episode counts as a hundred."""
    budget = job.config.budget
    return budget.steps if budget.steps is not None else 100 * (budget.episodes or 0)
