"""Contestants of the peers' benchmark: processes that train, and their measured rates."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from itertools import accumulate, count
from pathlib import Path
from typing import Any, Final

from benchmarks.peers.results import (
    Row,
)
from pgexp.runs.run_log import Row as RunRow
from pgexp.runs.run_log import RunLogReader
from pgexp.schema import names

HERE: Final = Path(__file__).parent
CORES: Final = len(os.sched_getaffinity(0))
PEERS_FOLDER: Final = Path(sys.prefix, "peers")
TORCH: Final = "torch==2.13.0"  # installed first, from the index that pip is configured for
PEERS: Final = (
    TORCH,
    "stable-baselines3==2.9.2",
    "tianshou==2.0.1",
    "jax==0.10.2",
    "jaxlib==0.10.2",
    "gymnax==1.0.1",
    "six",  # gymnax imports it and does not require it
    "gymnasium[mujoco]",
    f"mujoco=={version('mujoco')}",  # the simulator is the same for all
)
SHOWN_PEERS: Final = ("stable-baselines3", "tianshou", "torch", "jax", "gymnax", "numpy", "gymnasium", "mujoco")
SHOWN_OURS: Final = ("pgexp", "torch", "numpy", "numba", "gymnasium", "mujoco", "mlflow", "hydra-core")

SEGMENT: Final = 128
NUM_ENVS: Final = 16
BATCH: Final = SEGMENT * NUM_ENVS
RUNS: Final = 32
LR: Final = 3e-3
SIZES: Final = {"env_id": "CartPole-v1", "num_envs": NUM_ENVS, "segment": SEGMENT, "lr": LR}  # of the peers' programs
# Expected steps per second of one run on one core. They choose a measurement's length, not its result.
EXPECTED_COMPILED: Final = 400_000  # pgexp and JAX
EXPECTED_PEER: Final = 15_000
EXPECTED_SIMULATED: Final = {"HalfCheetah-v5": 12_000, "Hopper-v5": 6_000}
ENV_OPTIONS: Final = {"HalfCheetah-v5": "halfcheetah", "Hopper-v5": "hopper"}

ENVIRONMENT: Final = os.environ | {
    "PYTHONPATH": os.pathsep.join(filter(None, [str(HERE.parent.parent), os.environ.get("PYTHONPATH", "")])),
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
PGEXP: Final = (str(Path(sys.executable).with_name("pgexp")),)
PGEXP_NO_EXPORTER: Final = (sys.executable, "-m", "benchmarks.peers.without_exporter")
WITH_EXPORTER: Final = " + exporter"  # pgexp's process that writes to MLflow
NO_EVALUATION: Final = ("evaluation.every=null", "evaluation.final_episodes=0")


@dataclass(frozen=True)
class Measurement:
    """Steps per second, or seconds; the threads that computed; details."""

    value: float
    threads: str
    details: dict[str, Any]


Contestants = Mapping[str, Callable[[], Measurement]]


@dataclass(frozen=True)
class Plan:
    """How long to measure."""

    seconds: float
    repeats: int
    quick: bool

    def steps(self, rate: float, updates: int = 10) -> int:
        """Return a run's steps at a rate per second: whole batches, at least so many."""
        return BATCH * max(updates, round(self.seconds * rate / BATCH))


class Workplace:
    """A temporary working folder with an MLflow store that exists, as a user's has after the first run."""

    def __init__(self, folder: Path) -> None:
        """Train a short run, which also fills the cache of compiled kernels."""
        self.folder = folder
        self._numbers = count()
        self.run((*PGEXP, "budget.steps=1000"))

    def run(self, command: Sequence[str], expected_code: int = 0) -> tuple[float, float, str]:
        """Run a command; return its time of start, its seconds and what it wrote to stderr."""
        start, begun = time.time(), time.perf_counter()
        done = subprocess.run(command, cwd=self.folder, env=ENVIRONMENT, capture_output=True, text=True)
        seconds = time.perf_counter() - begun
        if done.returncode != expected_code:
            raise SystemExit(f"{' '.join(command)}\nended with code {done.returncode}:\n{done.stdout}{done.stderr}")
        return start, seconds, done.stderr

    def new_folder(self) -> Path:
        """Return the path of a folder for a run or a sweep."""
        return self.folder / f"measured-{next(self._numbers)}"


@contextmanager
def workplace() -> Iterator[Workplace]:
    """Yield a new workplace, and remove it at the end."""
    with tempfile.TemporaryDirectory() as folder:
        yield Workplace(Path(folder))


def paired(part: str, setting: str, contestants: Contestants, repeats: int) -> Iterator[Row]:
    """Yield a row per repeat and contestant. The order is reversed in every second repeat."""
    for repeat in range(repeats):
        for name in list(contestants)[:: -1 if repeat % 2 else 1]:
            found = contestants[name]()
            yield {
                "part": part,
                "setting": setting,
                "contestant": name,
                "repeat": repeat,
                "value": found.value,
                "threads": found.threads,
                "details": found.details,
            }


def slope(stamps: Sequence[tuple[float, int]]) -> float:
    """Return the steps per second between 10 % and 100 % of the steps.

    Args:
        stamps: time in seconds and steps that were trained since the run's previous stamp, of all runs in any order.
    """
    ordered = sorted(stamps)
    total = sum(steps for _, steps in ordered)
    done = list(accumulate(steps for _, steps in ordered))
    first = next(index for index, steps in enumerate(done) if steps >= total / 10)
    return (total - done[first]) / (ordered[-1][0] - ordered[first][0])


def run_stamps(folder: Path) -> list[tuple[float, int]]:
    """Return the stamps of all runs in a folder, from their training rows."""
    stamps = []
    for path in folder.rglob(names.ROWS_FILE):
        before = 0
        for item in RunLogReader(path).read():
            if isinstance(item, RunRow):
                stamps.append((item.time / 1000, item.steps - before))
                before = item.steps
    return stamps


def pgexp_rate(place: Workplace, program: Sequence[str], overrides: Sequence[str], runs: int) -> Measurement:
    """Return the rate of a run, or of a sweep over seeds."""
    folder = place.new_folder()
    sweep = ("-m", f"seed=range({runs})", "sweep.rerun=true", f"hydra.sweep.dir={folder}")
    words = sweep if runs > 1 else (f"hydra.run.dir={folder}",)
    place.run((*program, *words, *overrides, *NO_EVALUATION, "diagnostics=light"))
    threads = f"{min(runs, CORES)} x 1" if runs > 1 else "1"
    return Measurement(slope(run_stamps(folder)), threads + WITH_EXPORTER * (program == PGEXP), {})


def peer_rate(script: str, settings: Mapping[str, Any], processes: int) -> Measurement:
    """Return the rate of a peer's program: of one process, or of several that share the runs.

    JAX uses all cores in its one process; in the others each process has one thread.
    """
    one_thread = {} if script == "run_jax.py" else dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    started = []
    for number in range(processes):
        runs = settings["runs"] // processes + (number < settings["runs"] % processes)
        own = json.dumps({**settings, "runs": runs, "seed": 1000 * number})
        command = [str(PEERS_FOLDER / "bin" / "python"), str(HERE / script), own]
        environment = {**os.environ, **one_thread}
        started.append(subprocess.Popen(command, env=environment, stdout=-1, stderr=-1, text=True))
    stamps: list[tuple[float, int]] = []
    details: dict[str, Any] = {}
    for process in started:
        stdout, stderr = process.communicate()
        if process.returncode:
            raise SystemExit(f"{script} {dict(settings)} ended with code {process.returncode}:\n{stderr}")
        printed = json.loads(stdout.splitlines()[-1])
        stamps += [(when, steps) for when, steps in printed.pop("stamps")]
        details |= printed
    threads = str(CORES) if script == "run_jax.py" else f"{processes} x 1" if processes > 1 else "1"
    return Measurement(slope(stamps), threads, details)


def network_overrides(activation: str, baseline: str) -> tuple[str, ...]:
    """Return the overrides for segments, the 64-64 networks, Adam and the baseline."""
    shared = (
        f"env.num_envs={NUM_ENVS}",
        "algorithm.batch.episodes=null",
        f"algorithm.batch.steps={SEGMENT}",
        "network.widths=[64,64]",
        f"network.activation={activation}",
        f"optimizer.lr={LR}",
        f"baseline={baseline}",
    )
    if baseline == "mean":
        return (*shared, "algorithm.partial_episodes=drop")  # the batch mean predicts nothing to bootstrap with
    value = ("baseline.network.widths=[64,64]", f"baseline.network.activation={activation}")
    return (*shared, *value, f"baseline.lr={LR}", "baseline.value_updates=1")
