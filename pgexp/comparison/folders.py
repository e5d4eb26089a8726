"""The runs that stand in folders, a sweep's or a run's own: read as they are, without a store, while they train too."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pandas as pd

from pgexp.comparison.rows import Row, described
from pgexp.comparison.store import ComparisonError
from pgexp.schema import names
from pgexp.storage.files import read_json
from pgexp.storage.following import Following, RunStanding
from pgexp.storage.record import Record, ReusedRun, RunRecord, read, record_of
from pgexp.storage.spool import Row as SpoolRow
from pgexp.storage.tailing import SpoolTail

STATUS: Final = {
    "waiting": "SCHEDULED",
    "running": "RUNNING",
    "finished": "FINISHED",
    "failed": "FAILED",
    "killed": "KILLED",
    "pruned": "PRUNED",
}


def run_rows(folders: Sequence[Path]) -> list[Row]:
    """Return the rows of the seed runs of some folders, each once: of a sweep's folder all, of a run's that one.

    A run's id is its folder, which the commands that take a run take as well. Its start is its record's. Raises
    ComparisonError where a folder holds no record, or a damaged one.
    """
    rows = [row for folder in folders for row in _rows(folder)]
    return list({row["run_id"]: row for row in reversed(rows)}.values())


def _rows(folder: Path) -> Iterator[Row]:
    record = _record(folder)
    standings = Following(record).look().runs
    start = pd.Timestamp((record.folder / names.RECORD_FILE).stat().st_mtime_ns // 10**6, unit="ms", tz="UTC")
    for run, standing in zip(record.members, standings, strict=True):
        path = Path(run.folder) if isinstance(run, ReusedRun) else record.folder_of(run)
        if folder.resolve() in (record.folder.resolve(), path.resolve()):
            yield _row(record, run, path.resolve(), standing) | {"start": start}


def _record(folder: Path) -> Record:
    try:
        above = None if (folder / names.RECORD_FILE).is_file() else record_of(folder.absolute())
        return above or read(folder)
    except ValueError as error:
        why = "a store's address begins as sqlite:/// or http:// do"
        raise ComparisonError(f"{folder} is the folder of no sweep and no run ({error}); {why}") from error


def _row(record: Record, run: RunRecord | ReusedRun, folder: Path, standing: RunStanding) -> Row:
    return {
        "run_id": str(folder),
        "name": run.name,
        "experiment": record.tracking.experiment,
        "sweep": record.sweep,
        "status": STATUS[standing.state],
        "key": run.key,
        "configuration": run.configuration,
        "configuration_name": run.configuration_name,
        "artifacts": folder.as_uri(),
        **described(
            record.tags | _tags(run, folder),
            {name: str(value) for name, value in run.params.items()} | {"seed": str(run.seed)},
            _final(run, folder),
        ),
        "folder": str(folder),
        "reason": standing.end.reason if standing.end else "",
    }


def _tags(run: RunRecord | ReusedRun, folder: Path) -> dict[str, str]:
    """Return a run's own tags; those of one that is reused stand in its folder, if that is still there."""
    if isinstance(run, RunRecord):
        return run.tags
    try:
        tags: dict[str, str] = read_json(folder / names.RUN_FILE)["tags"]
    except (ValueError, KeyError):
        return {}
    return tags


def _final(run: RunRecord | ReusedRun, folder: Path) -> dict[str, float]:
    """Return the metrics of the evaluation at a run's end; one that trained on since has none."""
    path = folder / names.ROWS_FILE
    if not path.is_file():
        score = run.score if isinstance(run, ReusedRun) else None
        return {} if score is None else {names.FINAL_RETURN: score}
    for item in SpoolTail(path).read():
        group = next(iter(item.metrics), "").partition("/")[0] if isinstance(item, SpoolRow) else names.EVALUATION
        if group != names.EVALUATION:
            return item.metrics if isinstance(item, SpoolRow) and group == names.FINAL else {}
    return {}
