"""Sweeps with hand-written manifests and run logs."""

import time
from pathlib import Path

from pgexp.runs.manifest import RunEntry, SweepManifest, Tracking, save_manifest
from pgexp.runs.run_log import Phase, Row, RunLogWriter, RunState
from pgexp.tracking.sync_marker import write_marker


class Sweep:
    """Sweep over some configurations with two seeds each, before its start. It is marked as synced to MLflow."""

    def __init__(
        self, folder: Path, names: str = "ab", uri: str = "sqlite:////nowhere/mlflow.db", varied: str = "lr"
    ) -> None:
        runs = tuple(_run(name, seed, varied) for name in names for seed in (0, 1))
        self.record = SweepManifest(
            folder, "sweep-1", "a sweep", "pgexp -m lr=a,b", Tracking(uri, "pgexp", 9), runs, {}
        )
        save_manifest(self.record)
        write_marker(self.record)

    @property
    def folder(self) -> Path:
        return self.record.folder

    def log(self, run: str) -> RunLogWriter:
        """Return the writer of a run's log. Runs are named by configuration and seed: `a0`."""
        return RunLogWriter(self.folder / run / "rows.jsonl")

    def train(self, run: str, progress: float, return_mean: float) -> None:
        """Write a recent row of a run of 1,000 steps, trained at 500 steps per second."""
        metrics = {"train/return_mean": return_mean, "timing/steps_per_second": 500.0}
        self.log(run).append(Row(int(1000 * progress), progress, time.time_ns() // 1_000_000, metrics))
        write_marker(self.record)

    def end(self, run: str, score: float | None = None, status: RunState = "FINISHED", reason: str = "") -> None:
        """End a run, with a score if there is one. Killed runs can resume."""
        if score is not None:
            self.log(run).append(Row(1000, 1.0, time.time_ns() // 1_000_000, {"final/return_mean": score}, Phase.FINAL))
        self.log(run).end(status, reason, complete=status != "KILLED")
        write_marker(self.record)


def _run(name: str, seed: int, varied: str) -> RunEntry:
    title = f"{varied}={name}"
    run = f"{name}{seed}"
    return RunEntry(run, f"record-{run}", f"{title} seed={seed}", "key", name, title, seed, {}, {})
