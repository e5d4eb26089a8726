"""Time and memory of a large sweep's planning, until its manifest is written and training begins.

    python -m benchmarks.planning [--jobs 256 1024 4096] [OVERRIDE ...]

Each sweep is planned in a new process, over seeds, learning rates, discounts and baselines. Its jobs are composed
(`composing`), built (`building`) and written with the manifest (`recording`). Times are CPU times. `growth` is the time
per job relative to the smallest sweep: 1 for linear growth. For ten thousand jobs: --jobs 256 10000.
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
from pgexp.cli.command_state import new_state
from pgexp.cli.compose import config_folder, plan_jobs
from pgexp.execution.manifest import write_manifest
from pgexp.execution.validation import validate

PARTS = ("composing", "building", "recording")
MEBIBYTE = 1024  # kibibytes, the unit of ru_maxrss on Linux


@dataclass(frozen=True)
class Cost:
    """Cost of planning a sweep: CPU seconds per part, and the process's peak memory in MiB."""

    seconds: dict[str, float]
    memory: float

    @property
    def total(self) -> float:
        """CPU seconds of all parts."""
        return sum(self.seconds.values())


def cost(jobs: int, overrides: Sequence[str]) -> Cost:
    """Return the cost of planning a number of jobs, in a new process and folder."""
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(_measure, jobs, overrides, Path(folder)).result()


def _measure(number: int, overrides: Sequence[str], folder: Path) -> Cost:
    os.chdir(folder)
    torch.set_num_threads(1)
    seconds = dict.fromkeys(PARTS, 0.0)
    _plan(1, overrides, folder / "first", dict.fromkeys(PARTS, 0.0))  # loads modules
    _plan(number, overrides, folder / "sweep", seconds)
    return Cost(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MEBIBYTE)


def _plan(number: int, overrides: Sequence[str], folder: Path, seconds: dict[str, float]) -> None:
    with initialize_config_dir(str(config_folder()), version_base="1.3"), _timed(seconds, "composing"):
        setup_globals()
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None  # initialized above
        overrides_of_hydra = [f"hydra.sweep.dir={folder}", "hydra.job.name=pgexp"]
        master = hydra.config_loader.load_configuration("config", overrides_of_hydra, RunMode.MULTIRUN)
        context = HydraContext(hydra.config_loader, Callbacks())
        with new_state() as state:
            jobs = [job for job, _ in plan_jobs(context, master, list(islice(_sweep_overrides(overrides), number)), 0)]
            state.output_dirs.keep()
    with _timed(seconds, "building"):
        tags = validate([job.config for job in jobs])
    with _timed(seconds, "recording"):
        write_manifest(jobs, tags, folder, HERE)


def _sweep_overrides(overrides: Sequence[str]) -> Iterator[list[str]]:
    """Yield the overrides of each job of the sweep."""
    seeds, rates, discounts = range(10_000), (0.001, 0.002, 0.005, 0.01), (0.9, 0.95, 0.98, 0.99)
    for seed, rate, gamma, baseline in product(seeds, rates, discounts, ("none", "mean", "leave_one_out", "value")):
        yield [f"seed={seed}", f"optimizer.lr={rate}", f"algorithm.gamma={gamma}", f"baseline={baseline}", *overrides]


@contextmanager
def _timed(seconds: dict[str, float], part: str) -> Iterator[None]:
    start = time.process_time()
    yield
    seconds[part] += time.process_time() - start


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, nargs="+", default=[256, 1024, 4096])
    parser.add_argument("overrides", nargs="*")
    arguments = parser.parse_args()
    print(f"{'jobs':>8}{'seconds':>10}{'ms/job':>10}{'growth':>8}{'MiB':>8}", *(f"{part:>11}" for part in PARTS))
    smallest: float | None = None
    for jobs in sorted(arguments.jobs):
        measured = cost(jobs, arguments.overrides)
        each = measured.total / jobs
        smallest = smallest or each
        parts = (f"{measured.seconds[part]:>11.2f}" for part in PARTS)
        print(
            f"{jobs:>8,}{measured.total:>10.2f}{each * 1e3:>10.2f}{each / smallest:>8.2f}{measured.memory:>8,.0f}",
            *parts,
        )


if __name__ == "__main__":
    main()
