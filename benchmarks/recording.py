"""What it costs to bring a sweep to MLflow: CPU seconds a run and peak memory of the sink's process, on a fresh SQLite.

    python -m benchmarks.recording [--runs 1024] [--seeds 4] [OVERRIDE ...]

One run is trained, and its folder stands for every run of the sweep. `first` brings over all of it, which has ended
already, so that nothing is waited for; `again` is a second sink, which finds that nothing is missing. Both have the
seconds in them that it takes to import MLflow.
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

from pgexp.schema.names import CODE_FILE
from pgexp.storage import record
from pgexp.storage.local_artifacts import share
from pgexp.storage.record import Record
from pgexp.storage.sink import SinkProcess

_LONGEST = 24 * 3600.0  # seconds


def trained(folder: Path, overrides: Sequence[str]) -> Record:
    """Train one run, with nobody at the address of its store, and return its record."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and not listening
        uri = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        words = [f"hydra.run.dir={folder}", f"tracking.uri={uri}", *overrides]
        subprocess.run([sys.executable, "-m", "pgexp.cli.train", *words], check=True, stdout=subprocess.DEVNULL)
    return record.read(folder)


def multiplied(one: Record, folder: Path, runs: int, seeds: int, uri: str) -> Record:
    """Write the record of a sweep whose runs are copies of the one."""
    (run,) = one.runs
    copies = []
    for number in range(runs):
        target, name = folder / str(number), f"configuration={number // seeds}"
        shutil.copytree(one.folder, target, ignore=shutil.ignore_patterns("record.json", "sink.log", ".*lock", "*.zip"))
        share(one.folder / CODE_FILE, target / CODE_FILE)
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
    record.write(made)
    return made


def bring(sweep: Record) -> str:
    """Bring the sweep over by a sink's process, the only one that this one starts, and return what that cost."""
    start = time.perf_counter()
    state = SinkProcess.start(sweep.folder).wait(_LONGEST)
    wall, used = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    assert (state.state, state.ended) == ("done", len(sweep.runs)), state
    seconds = used.ru_utime + used.ru_stime
    return f"{seconds / len(sweep.runs):>12.4f}{seconds:>12.1f}{wall:>12.1f}{used.ru_maxrss / 1024:>12.0f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1024)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("overrides", nargs="*", default=["budget.steps=20000"])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        one = trained(Path(folder, "one"), arguments.overrides)
        sweep = multiplied(one, Path(folder, "sweep"), arguments.runs, arguments.seeds, f"sqlite:///{folder}/mlflow.db")
        print(f"{arguments.runs} runs{'CPU s a run':>17}{'CPU s':>12}{'wall s':>12}{'peak MiB':>12}")
        for name in ("first", "again"):
            with ProcessPoolExecutor(1, get_context("spawn")) as process:
                print(f"{name:<10}{process.submit(bring, sweep).result()}", flush=True)


if __name__ == "__main__":
    main()
