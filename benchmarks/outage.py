"""CPU time of a command with an unreachable MLflow server, relative to one with a SQLite store.

    python -m benchmarks.outage [--pairs 15] [--runs 8] [OVERRIDE ...]

A sweep is trained several times, each time in a new process, alternately with a fresh SQLite store (`there`) and with a
port at which no server listens (`away`), so that drifts of the machine's speed affect both. `trainer` is the process
that trains; `all` includes the exporter. The 95 % interval of the median ratio follows from the binomial distribution.
"""

from pgexp.schema import determinism

determinism.pin()

import argparse
import resource
import socket
import statistics
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Literal, cast

from rich.console import Console
from scipy.stats import quantile_test

from benchmarks.throughput import HERE, config_of
from pgexp.execution.jobs import Job
from pgexp.execution.training import train_sweep

Store = Literal["there", "away"]

PARTS = ("trainer", "all")


@dataclass(frozen=True)
class Cost:
    """CPU seconds of a command."""

    trainer: float
    all: float


def cost(store: Store, runs: int, overrides: Sequence[str]) -> Cost:
    """Return the cost of a command in a new process, with its store there or away."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # does not listen
        uri = f"http://127.0.0.1:{unused.getsockname()[1]}" if store == "away" else f"sqlite:///{folder}/mlflow.db"
        with ProcessPoolExecutor(1, get_context("spawn")) as process:
            return process.submit(_train, uri, Path(folder), runs, overrides).result()


def _train(uri: str, folder: Path, runs: int, overrides: Sequence[str]) -> Cost:
    shipped = config_of("baseline=value", "budget.steps=200_000", *overrides)
    tracking = replace(shipped.tracking, uri=uri)
    configs = [replace(shipped, seed=seed, tracking=tracking) for seed in range(runs)]
    jobs = [Job(config, folder / str(number)) for number, config in enumerate(configs)]
    train_sweep(jobs, folder, HERE, Console(quiet=True))
    trainer, exporter = (
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )
    return Cost(trainer, trainer + exporter)


def format_median(ratios: Sequence[float]) -> str:
    """Return the median and its interval, which needs at least six ratios."""
    low, high = cast(tuple[float, float], quantile_test(ratios, p=0.5).confidence_interval(0.95))
    return f"{statistics.median(ratios):.3f} [{low:.3f}, {high:.3f}]"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("overrides", nargs="*")
    arguments = parser.parse_args()
    print(f"{'CPU time':<24}{'trainer, median [95 %]':>28}{'all, median [95 %]':>28}")
    pairs = [
        (cost("away", arguments.runs, arguments.overrides), cost("there", arguments.runs, arguments.overrides))
        for _ in range(arguments.pairs)
    ]
    medians = [format_median([getattr(away, part) / getattr(there, part) for away, there in pairs]) for part in PARTS]
    print(f"{'away / there':<24}{medians[0]:>28}{medians[1]:>28}")


if __name__ == "__main__":
    main()
