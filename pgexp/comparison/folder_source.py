"""Runs in folders of sweeps or runs, read without a store, also during training."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from pgexp.comparison.run_frame import Row, run_row
from pgexp.runs.files import read_json
from pgexp.runs.manifest import CachedRun, RunEntry, SweepManifest, load_manifest, manifest_of
from pgexp.runs.run_log import Phase, RunLogTail
from pgexp.runs.run_log import Row as LogRow
from pgexp.runs.status import RunStatus, StatusReader
from pgexp.schema import names
from pgexp.schema.errors import UserError


def run_rows(folders: Sequence[Path]) -> list[Row]:
    """Return the rows of the seed runs in some folders, each once: all of a sweep's folder, one of a run's folder.

    A run's id is its folder, which commands accept as a run. Its start is that of its sweep's manifest. Raises
    UserError if a folder has no manifest, or a damaged one.
    """
    rows = [row for folder in folders for row in _rows(folder)]
    return list({row["run_id"]: row for row in reversed(rows)}.values())


def _rows(folder: Path) -> Iterator[Row]:
    try:
        above = None if (folder / names.MANIFEST_FILE).is_file() else manifest_of(folder.absolute())
        manifest = above or load_manifest(folder)
    except ValueError as error:
        hint = "the address of a store begins with sqlite:/// or http://"
        raise UserError.at("SWEEP", f"{folder} is not the folder of a sweep or run ({error}); {hint}") from error
    start = pd.Timestamp((manifest.folder / names.MANIFEST_FILE).stat().st_mtime_ns // 10**6, unit="ms", tz="UTC")
    for run, status in zip(manifest.members, StatusReader(manifest).read().runs, strict=True):
        path = Path(run.folder) if isinstance(run, CachedRun) else manifest.folder_of(run)
        if folder.resolve() in (manifest.folder.resolve(), path.resolve()):
            yield _row(manifest, run, path.resolve(), status) | {"start": start}


def _row(manifest: SweepManifest, run: RunEntry | CachedRun, folder: Path, status: RunStatus) -> Row:
    return {
        "run_id": str(folder),
        "name": run.name,
        "experiment": manifest.tracking.experiment,
        "sweep": manifest.sweep,
        "status": str(status.state),
        "key": run.key,
        "configuration": run.configuration,
        "configuration_name": run.configuration_name,
        "artifacts": folder.as_uri(),
        **run_row(
            manifest.tags | _tags(run, folder),
            {name: str(value) for name, value in run.params.items()} | {"seed": str(run.seed)},
            _final_metrics(run, folder),
        ),
        "folder": str(folder),
        "reason": status.end.reason if status.end else "",
    }


def _tags(run: RunEntry | CachedRun, folder: Path) -> dict[str, str]:
    """Return a run's own tags; those of a reused run are in its folder, if that still exists."""
    if isinstance(run, RunEntry):
        return run.tags
    try:
        tags: dict[str, str] = read_json(folder / names.RUN_FILE)["tags"]
    except (ValueError, KeyError):
        return {}
    return tags


def _final_metrics(run: RunEntry | CachedRun, folder: Path) -> dict[str, float]:
    """Return the metrics of the final evaluation; a run that was extended has none until its new end."""
    path = folder / names.ROWS_FILE
    if not path.is_file():
        score = run.score if isinstance(run, CachedRun) else None
        return {} if score is None else {names.FINAL_RETURN: score}
    for item in RunLogTail(path).read():
        if isinstance(item, LogRow) and item.phase != Phase.EVALUATION:
            return item.metrics if item.phase == Phase.FINAL else {}
    return {}
