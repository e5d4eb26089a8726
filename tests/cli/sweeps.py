"""A sweep's record, and its runs' spools, written by hand as a sweep would leave them."""

import time
from pathlib import Path

from pgexp.storage.record import Record, RunRecord, Tracking, write
from pgexp.storage.recorded import mark
from pgexp.storage.spool import Row, SpoolWriter, Status


class Sweep:
    """A sweep over some configurations with two seeds each, none of which has begun; MLflow is said to have it all."""

    def __init__(
        self, folder: Path, names: str = "ab", uri: str = "sqlite:////nowhere/mlflow.db", varied: str = "lr"
    ) -> None:
        runs = tuple(_run(name, seed, varied) for name in names for seed in (0, 1))
        self.record = Record(folder, "sweep-1", "a sweep", "pgexp -m lr=a,b", Tracking(uri, "pgexp", 9), runs, {})
        write(self.record)
        mark(self.record)

    @property
    def folder(self) -> Path:
        return self.record.folder

    def spool(self, run: str) -> SpoolWriter:
        """Return the spool of a run, named by its configuration and its seed: `a0`."""
        return SpoolWriter(self.folder / run / "rows.jsonl")

    def train(self, run: str, progress: float, return_mean: float) -> None:
        """Let a run stand somewhere in its 1,000 steps, trained just now at 500 steps a second."""
        metrics = {"train/return_mean": return_mean, "timing/steps_per_second": 500.0}
        self.spool(run).append(Row(int(1000 * progress), progress, time.time_ns() // 1_000_000, metrics))
        mark(self.record)

    def end(self, run: str, score: float | None = None, status: Status = "FINISHED", reason: str = "") -> None:
        """Let a run end, with a score where it has one; what was killed can go on."""
        if score is not None:
            self.spool(run).append(Row(1000, 1.0, time.time_ns() // 1_000_000, {"final/return_mean": score}))
        self.spool(run).end(status, reason, complete=status != "KILLED")
        mark(self.record)


def _run(name: str, seed: int, varied: str) -> RunRecord:
    title = f"{varied}={name}"
    run = f"{name}{seed}"
    return RunRecord(run, f"record-{run}", f"{title} seed={seed}", "key", name, title, seed, {}, {})
