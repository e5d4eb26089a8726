"""How long a sweep of many runs takes to plan, and how much memory: until its record is written and training begins.

    python -m benchmarks.planning [--jobs 256 1024 4096] [OVERRIDE ...]

Each size is planned in a process of its own, over seeds, learning rates, discounts and baselines: its jobs are
composed, each with its own folder (`composing`), built (`building`), and recorded (`recording`). CPU time, since files
are written and other processes may be at work. `growth` is the time a job takes over what it takes in the smallest
sweep: 1 where time grows linearly. Ten thousand: --jobs 256 10000.
"""

from pgexp.schema import determinism

determinism.pin()

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice, product
from multiprocessing import get_context
from pathlib import Path

import torch
from hydra import initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.utils import setup_globals
from hydra.types import HydraContext, RunMode

from benchmarks.throughput import HERE
from pgexp.cli.folder import config_folder
from pgexp.cli.job_folders import planned
from pgexp.execution.recording import write_record
from pgexp.execution.validation import validate

PARTS = ("composing", "building", "recording")
MEBIBYTE = 1024  # kibibytes, in which Linux tells memory


@dataclass(frozen=True)
class Cost:
    """What planning a sweep costs: CPU seconds of each part, and the process's peak memory in MiB."""

    seconds: dict[str, float]
    memory: float

    @property
    def total(self) -> float:
        """CPU seconds of all parts."""
        return sum(self.seconds.values())


def cost(jobs: int, overrides: Sequence[str]) -> Cost:
    """Return what it costs to plan so many jobs, in a process and a folder of its own."""
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(_planned, jobs, overrides, Path(folder)).result()


def _planned(number: int, overrides: Sequence[str], folder: Path) -> Cost:
    os.chdir(folder)
    torch.set_num_threads(1)
    seconds = dict.fromkeys(PARTS, 0.0)
    _plan(1, overrides, folder / "first", dict.fromkeys(PARTS, 0.0))  # which loads what is loaded once
    _plan(number, overrides, folder / "sweep", seconds)
    return Cost(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MEBIBYTE)


def _plan(number: int, overrides: Sequence[str], folder: Path, seconds: dict[str, float]) -> None:
    with initialize_config_dir(str(config_folder()), version_base="1.3"), _timed(seconds, "composing"):
        setup_globals()
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None  # it was initialized
        given = [f"hydra.sweep.dir={folder}", "hydra.job.name=pgexp"]
        master = hydra.config_loader.load_configuration("config", given, RunMode.MULTIRUN)
        context = HydraContext(hydra.config_loader, Callbacks())
        jobs = [job for job, _ in planned(context, master, list(islice(_swept(overrides), number)), 0)]
    with _timed(seconds, "building"):
        trials = validate([job.config for job in jobs])
    with _timed(seconds, "recording"):
        write_record(jobs, trials, folder, HERE)


def _swept(overrides: Sequence[str]) -> Iterator[list[str]]:
    """Yield the overrides of one job after another, as a sweep has them."""
    seeds, rates, discounts = range(10_000), (0.001, 0.002, 0.005, 0.01), (0.9, 0.95, 0.98, 0.99)
    for seed, rate, gamma, baseline in product(seeds, rates, discounts, ("none", "mean", "leave_one_out", "value")):
        yield [f"seed={seed}", f"optimizer.lr={rate}", f"algorithm.gamma={gamma}", f"baseline={baseline}", *overrides]


@contextmanager
def _timed(seconds: dict[str, float], part: str) -> Iterator[None]:
    begun = time.process_time()
    yield
    seconds[part] += time.process_time() - begun


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, nargs="+", default=[256, 1024, 4096])
    parser.add_argument("overrides", nargs="*")
    arguments = parser.parse_args()
    print(f"{'jobs':>8}{'seconds':>10}{'ms a job':>10}{'growth':>8}{'MiB':>8}", *(f"{part:>11}" for part in PARTS))
    smallest: float | None = None
    for jobs in sorted(arguments.jobs):
        found = cost(jobs, arguments.overrides)
        each = found.total / jobs
        smallest = smallest or each
        parts = (f"{found.seconds[part]:>11.2f}" for part in PARTS)
        print(f"{jobs:>8,}{found.total:>10.2f}{each * 1e3:>10.2f}{each / smallest:>8.2f}{found.memory:>8,.0f}", *parts)


if __name__ == "__main__":
    main()
