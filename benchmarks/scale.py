"""Time and memory of a sweep of a thousand runs, and a check that its export is complete.

    python -m benchmarks.scale [--seeds 4] [OVERRIDE ...]

One command trains 256 configurations of CartPole with several seeds, and the default evaluation and store. Planning
ends when the first row is recorded, and training when the last run has ended; recording is the export after that.
Memory is that of all processes of the command; shared pages are counted once. At the end, the numbers of runs and
rows in the store are compared with those in the folders.
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

from pgexp.runs.manifest import SweepManifest, load_manifest
from pgexp.runs.run_log import Row, RunLogReader, RunState
from pgexp.runs.status import StatusReader
from pgexp.schema import names

GRID = (
    "baseline=none,mean,leave_one_out,value",
    "optimizer.lr=1e-3,2e-3,3e-3,5e-3,7e-3,1e-2,2e-2,3e-2",
    "algorithm.gamma=.9,.95,.97,.98,.99,.995,.999,1.0",
)
_POLL_SECONDS = 0.5


def run(folder: Path, seeds: int, overrides: Sequence[str]) -> None:
    """Run the sweep in a folder and print its time and memory."""
    words = [*GRID, f"seed=range({seeds})", "budget.steps=20000", *overrides]
    start, peak, planned, trained = time.monotonic(), 0.0, 0.0, 0.0
    command = [sys.executable, "-m", "pgexp.cli.train", "-m", "hydra.sweep.dir=sweep", *words]
    with (folder / "output.txt").open("wb") as output:
        process = psutil.Popen(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT, env=_environment())
    following: StatusReader | None = None
    while process.poll() is None:
        time.sleep(_POLL_SECONDS)
        peak = max(peak, _memory(process))
        elapsed = time.monotonic() - start
        if following is None and (folder / "sweep" / names.MANIFEST_FILE).exists():
            following = StatusReader(load_manifest(folder / "sweep"))
        status = following.read() if following is not None else None
        if not planned and status is not None and status.count(RunState.SCHEDULED) < len(status.runs):
            planned = elapsed
        if not trained and status is not None and status.is_over:
            trained = elapsed
    whole = time.monotonic() - start
    print((folder / "output.txt").read_text().strip())
    print(f"{whole:.0f} s: {planned:.0f} s planning, {trained - planned:.0f} s training, {whole - trained:.0f} s "
          f"recording after it; exit code {process.returncode}")  # fmt: skip
    print(f"peak memory of all processes: {peak / 2**30:.2f} GiB")
    print(_export_summary(load_manifest(folder / "sweep")))


def _memory(process: psutil.Process) -> float:
    """Return the bytes of a process and its children; a page that n processes share counts 1/n in each."""
    total = 0.0
    with suppress(psutil.NoSuchProcess):
        for each in (process, *process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                total += each.memory_full_info().pss
    return total


def _export_summary(record: SweepManifest) -> str:
    """Return the numbers of runs and rows in the store and in the folders."""
    from pgexp.tracking.client import connect, search_runs

    client = connect(record.tracking.uri)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    found = [run.data.tags for run in search_runs(client, experiments, "attributes.status = 'FINISHED'")]
    runs = [tags for tags in found if tags[names.TAG_ROLE] == names.ROLE_RUN]
    rows = sum(int(tags[names.TAG_ROWS_SYNCED]) for tags in runs)
    logs = [RunLogReader(record.folder_of(run) / names.ROWS_FILE).read() for run in record.runs]
    written = sum(isinstance(item, Row) for items in logs for item in items)
    text = f"finished in the store: {len(runs):,} of {len(record.runs):,} runs, {rows:,} of {written:,} rows"
    return f"{text}, and {len(found) - len(runs):,} parents"


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
