"""Cost of exporting a sweep to MLflow: CPU time per run and peak memory of the exporter, on a fresh SQLite database.

    python -m benchmarks.recording [--runs 1024] [--seeds 4] [OVERRIDE ...]

One run is trained, and the runs of the sweep are copies of it. `first` exports all of them; they have ended before, so
it never waits. `again` is a second exporter, for which nothing is missing. The total includes the seconds
that the import of MLflow takes and, for `first`, the creation of the database; the CPU time per run does not.
"""

import argparse
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

from pgexp.runs.files import link_file
from pgexp.runs.manifest import SweepManifest, load_manifest, save_manifest
from pgexp.schema.names import CODE_FILE
from pgexp.tracking.exporter import Exporter

_TIMEOUT = 24 * 3600.0  # seconds


def train(folder: Path, overrides: Sequence[str]) -> SweepManifest:
    """Train one run whose store is not reachable, and return its manifest."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # it does not listen
        uri = f"http://127.0.0.1:{unused.getsockname()[1]}"
        words = [f"hydra.run.dir={folder}", f"tracking.uri={uri}", *overrides]
        subprocess.run([sys.executable, "-m", "pgexp.cli.train", *words], check=True, stdout=subprocess.DEVNULL)
    return load_manifest(folder)


def multiply(one: SweepManifest, folder: Path, runs: int, seeds: int, uri: str) -> SweepManifest:
    """Write the manifest of a sweep whose runs are copies of a single run."""
    (run,) = one.runs
    copies = []
    for number in range(runs):
        target, name = folder / str(number), f"configuration={number // seeds}"
        ignored = shutil.ignore_patterns("manifest.json", "exporter.log", ".*lock", "*.zip")
        shutil.copytree(one.folder, target, ignore=ignored)
        link_file(one.folder / CODE_FILE, target / CODE_FILE)
        copies.append(
            replace(
                run,
                folder=str(number),
                record=uuid.uuid4().hex,
                name=f"{name} seed={number % seeds}",
                configuration=name,
                configuration_name=name,
                seed=number % seeds,
            )
        )
    made = replace(
        one, folder=folder, sweep="sweep", name="sweep", runs=tuple(copies), tracking=replace(one.tracking, uri=uri)
    )
    save_manifest(made)
    return made


def export(sweep: SweepManifest, start_up: float) -> str:
    """Export the sweep in the only child process of this one, and return a row of costs.

    start_up: CPU seconds of an exporter with a single run.
    """
    start = time.perf_counter()
    state = Exporter.start(sweep.folder).wait(_TIMEOUT)
    wall, used = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    assert (state.state, state.ended) == ("done", len(sweep.runs)), state
    seconds = used.ru_utime + used.ru_stime
    per_run = 1e3 * (seconds - start_up) / len(sweep.runs)
    return f"{per_run:>12.1f}{seconds:>12.1f}{wall:>12.1f}{used.ru_maxrss / 1024:>12.0f}"


def cpu_seconds(sweep: SweepManifest) -> float:
    """Export a sweep in the only child process of this one, and return its CPU seconds."""
    Exporter.start(sweep.folder).wait(_TIMEOUT)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1024)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("overrides", nargs="*", default=["budget.steps=20000"])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        one = train(Path(folder, "one"), arguments.overrides)
        sweep = multiply(one, Path(folder, "sweep"), arguments.runs, arguments.seeds, f"sqlite:///{folder}/mlflow.db")
        print(f"{arguments.runs} runs{'CPU ms per run':>17}{'CPU s':>12}{'wall s':>12}{'peak MiB':>12}")
        empty = multiply(one, Path(folder, "empty"), 1, 1, f"sqlite:///{folder}/other.db")
        for name in ("first", "again"):
            with ProcessPoolExecutor(1, get_context("spawn")) as process:
                start_up = process.submit(cpu_seconds, empty).result()
            with ProcessPoolExecutor(1, get_context("spawn")) as process:
                print(f"{name:<10}{process.submit(export, sweep, start_up).result()}", flush=True)


if __name__ == "__main__":
    main()
