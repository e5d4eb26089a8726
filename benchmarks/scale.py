"""How a sweep of a thousand runs goes: its time, told apart, its memory, and that nothing of it is lost.

    python -m benchmarks.scale [--seeds 4] [OVERRIDE ...]

One command trains 256 configurations of CartPole, each on some seeds, with the shipped evaluation and store. Planning
lasts until the record stands and the first row is trained; training until the last run has ended; recording is what
MLflow takes beyond that. Memory is what all of the command's processes hold at once, pages that they share counted
once. At the end the runs and the points in the store are counted against the folders.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from pgexp.schema import names
from pgexp.storage.following import Following
from pgexp.storage.record import Record, read
from pgexp.storage.spool import Row, SpoolReader

GRID = (
    "baseline=none,mean,leave_one_out,value",
    "optimizer.lr=1e-3,2e-3,3e-3,5e-3,7e-3,1e-2,2e-2,3e-2",
    "algorithm.gamma=.9,.95,.97,.98,.99,.995,.999,1.0",
)
_PERIOD = 0.5  # seconds between two looks


def run(folder: Path, seeds: int, overrides: Sequence[str]) -> None:
    """Run the sweep in a folder, and print what it took."""
    words = [*GRID, f"seed=range({seeds})", "budget.steps=20000", *overrides]
    begun, peak, planned, trained = time.monotonic(), 0.0, 0.0, 0.0
    command = [sys.executable, "-m", "pgexp.cli.train", "-m", "hydra.sweep.dir=sweep", *words]
    with (folder / "said.txt").open("wb") as said:
        process = psutil.Popen(command, cwd=folder, stdout=said, stderr=subprocess.STDOUT, env=_environment())
    following: Following | None = None
    while process.poll() is None:
        time.sleep(_PERIOD)
        peak = max(peak, _memory(process))
        elapsed = time.monotonic() - begun
        if following is None and (folder / "sweep" / names.RECORD_FILE).exists():
            following = Following(read(folder / "sweep"))
        standing = following.look() if following is not None else None
        if not planned and standing is not None and standing.count("waiting") < len(standing.runs):
            planned = elapsed
        if not trained and standing is not None and standing.is_over:
            trained = elapsed
    whole = time.monotonic() - begun
    print((folder / "said.txt").read_text().strip())
    print(f"{whole:.0f} s: {planned:.0f} s planning, {trained - planned:.0f} s training, {whole - trained:.0f} s "
          f"recording beyond it; exit code {process.returncode}")  # fmt: skip
    print(f"peak memory of all processes: {peak / 2**30:.2f} GiB")
    print(_counted(read(folder / "sweep")))


def _memory(process: psutil.Process) -> float:
    """Return the bytes that a process and those below it hold; of a page that n share, each has an n-th."""
    total = 0.0
    with suppress(psutil.NoSuchProcess):
        for each in (process, *process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                total += each.memory_full_info().pss
    return total


def _counted(record: Record) -> str:
    """Return how many of the runs, and of the rows of their spools, the store has."""
    from pgexp.storage.mlflow_client import connect, found_runs

    client = connect(record.tracking.uri)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    found = [run.data.tags for run in found_runs(client, experiments, "attributes.status = 'FINISHED'")]
    runs = [tags for tags in found if tags[names.TAG_ROLE] == names.ROLE_RUN]
    rows = sum(int(tags[names.TAG_DRAINED]) for tags in runs)
    spools = [SpoolReader(record.folder_of(run) / names.ROWS_FILE).read() for run in record.runs]
    written = sum(isinstance(item, Row) for items in spools for item in items)
    told = f"finished in the store: {len(runs):,} of {len(record.runs):,} runs, {rows:,} of {written:,} rows"
    return f"{told}, and {len(found) - len(runs):,} parents"


def _environment() -> dict[str, str]:
    path = os.pathsep.join(filter(None, [str(Path.cwd()), os.environ.get("PYTHONPATH", "")]))
    return os.environ | {"PYTHONPATH": path}


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("overrides", nargs="*")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder), arguments.seeds, arguments.overrides)


if __name__ == "__main__":
    main()
