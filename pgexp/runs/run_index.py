"""Append-only index of finished runs, in which a sweep looks up the runs that it need not train again."""

import fcntl
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from pgexp.runs.files import named_errors, read_json
from pgexp.runs.manifest import RunEntry, SweepManifest
from pgexp.runs.secrets import mask_uri
from pgexp.schema.names import INDEX_FILE, ROWS_FILE, RUN_FILE, TAG_CODE

Key = tuple[str, str]
"""A run's key, and its code version."""


@dataclass(frozen=True)
class FinishedRun:
    """A finished run, and the MLflow experiment to which it is exported."""

    key: str
    code: str
    record: str
    folder: str  # absolute
    score: float | None  # mean return of its final evaluation
    store: str  # password masked
    experiment: str

    def is_intact(self) -> bool:
        """Return whether the run is still in its folder."""
        folder = Path(self.folder)
        try:
            return (folder / ROWS_FILE).is_file() and read_json(folder / RUN_FILE)["record"] == self.record
        except (ValueError, KeyError):
            return False


class RunIndex:
    """Index of the finished runs of commands in one working directory: a file with one JSON object per line."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / INDEX_FILE

    def add(self, manifest: SweepManifest, run: RunEntry, score: float | None) -> None:
        """Append a finished run of a manifest."""
        tracking = manifest.tracking
        finished = FinishedRun(
            key=run.key,
            code=manifest.tags.get(TAG_CODE, ""),
            record=run.record,
            folder=str(manifest.folder_of(run).resolve()),
            score=score,
            store=mask_uri(tracking.uri),
            experiment=tracking.experiment,
        )
        line = json.dumps(asdict(finished)).encode() + b"\n"
        with named_errors(self._path), self._path.open("a+b") as file:
            fcntl.lockf(file, fcntl.LOCK_EX)  # until the file is closed
            end = file.seek(0, os.SEEK_END)
            if end:
                file.seek(end - 1)
                line = line if file.read() == b"\n" else b"\n" + line  # after a line of a killed process
            file.write(line)

    def find(self, uri: str, experiment: str) -> dict[Key, FinishedRun]:
        """Return the runs of an experiment; of several with one key, the latest. Damaged lines are skipped."""
        found: dict[Key, FinishedRun] = {}
        lines = self._path.read_bytes().splitlines() if self._path.exists() else []
        for line in lines:
            try:
                run = FinishedRun(**json.loads(line))
            except (ValueError, TypeError):
                continue
            if (run.store, run.experiment) == (mask_uri(uri), experiment):
                found[run.key, run.code] = run
        return found
