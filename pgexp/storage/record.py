"""A record: which runs a command trains, in which folders, and where they are tracked.

It is written before training starts. From then on, whoever knows the folder can follow the runs or catch up.
"""

import math
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from pgexp.schema.errors import ConfigError, Problem
from pgexp.schema.names import RECORD_FILE, ROWS_FILE, RUN_FILE
from pgexp.storage.files import read_json, require_below, write_json
from pgexp.storage.secrets import mask_uri


@dataclass(frozen=True)
class Tracking:
    """Where MLflow keeps the runs, and how finely it shows them."""

    uri: str  # a relative SQLite path is made absolute by whoever makes the record
    experiment: str
    points: int  # about how many training rows of a run MLflow shows; the Parquet file holds them all


@dataclass(frozen=True)
class RunRecord:
    """One run of a record: one configuration with one seed."""

    folder: str  # relative to the record's folder; "." for a single run
    record: str  # uuid4 hex: this recording of the run, by which MLflow's run is found again
    name: str
    key: str
    configuration: str
    configuration_name: str
    seed: int
    params: dict[str, str | int | float | bool]
    tags: dict[str, str]


@dataclass(frozen=True)
class ReusedRun:
    """A run that finished before in another sweep, or by itself, and is taken into this one as it is."""

    folder: str  # absolute: its own
    record: str
    run_id: str  # of its MLflow run, which stays where it is
    name: str
    key: str
    configuration: str
    configuration_name: str  # as this sweep calls it
    seed: int
    params: dict[str, str | int | float | bool]
    score: float | None  # its final mean return


@dataclass(frozen=True)
class Record:
    """Everything that one command trains: a sweep of runs, or a single run, which has no sweep.

    A sweep may grow: its record is then written again, with more runs.
    """

    folder: Path  # not in the file: a record is where it stands
    sweep: str | None
    name: str
    command: str  # secrets masked, as in a Provenance
    tracking: Tracking
    runs: tuple[RunRecord, ...]
    tags: dict[str, str]  # of every MLflow run of the record
    settings: dict[str, Any] | None = None  # of a sweep: its `sweep` and `workers` keys
    reused: tuple[ReusedRun, ...] = ()  # older records do not say; a sweep may be made of these alone

    def __post_init__(self) -> None:
        """Refuse what could not be told apart afterwards."""
        if self.sweep is None and len(self.runs) != 1:
            raise ValueError(f"a record without a sweep holds exactly one run, not {len(self.runs)}")
        if self.sweep is None and self.reused:
            raise ValueError("a record without a sweep reuses no run")
        for identity in ("folder", "record"):
            if len({getattr(run, identity) for run in self.members}) != len(self.members):
                raise ValueError(f"two runs share a {identity}")
        for run in self.runs:
            require_below(run.folder)

    @property
    def members(self) -> tuple[RunRecord | ReusedRun, ...]:
        """All its runs: those that it trains, and after them those that it reuses."""
        return self.runs + self.reused

    def folder_of(self, run: RunRecord) -> Path:
        """Return the folder of one of the record's runs."""
        return self.folder / run.folder


def require_new(folder: Path, key: str = "hydra.run.dir") -> None:
    """Raise ConfigError where the folder, which a key names, holds a recorded run or sweep: it is kept as it is.

    A run that was killed before its first row counts, since MLflow may have it already.
    """
    held = any((folder / name).exists() for name in (ROWS_FILE, RECORD_FILE))
    if held or record_of(folder) is not None:
        text = f"{folder} holds a recorded run already, which is kept: choose another folder, or call pgexp-resume"
        raise ConfigError([Problem(key, text)])


_RECORD = TypeAdapter(Record)


def write(record: Record) -> None:
    """Write each run's file into its folder, then the record's: where that stands, all of them do.

    The store's password is left out: whoever reads the record has it from the environment (`full_uri`).
    """
    fields = asdict(record)
    del fields["folder"]
    fields["tracking"]["uri"] = mask_uri(record.tracking.uri)
    for run_fields in (*fields["runs"], *fields["reused"]):
        run_fields["params"] = {name: _plain(value) for name, value in run_fields["params"].items()}
    for run, run_fields in zip(record.runs, fields["runs"], strict=True):
        write_json(record.folder_of(run) / RUN_FILE, run_fields)
    write_json(record.folder / RECORD_FILE, fields)


def read(folder: Path) -> Record:
    """Read a folder's record; a ValueError names the file and everything that is wrong with it."""
    path = folder / RECORD_FILE
    try:
        return _RECORD.validate_python(read_json(path) | {"folder": folder})
    except ValidationError as error:
        wrong = (f"{'.'.join(map(str, e['loc'])) or 'record'}: {e['msg']}" for e in error.errors())
        raise ValueError(f"{path}: {'; '.join(wrong)}") from error


def record_of(run_folder: Path) -> Record | None:
    """Return the record that the run of a folder is of, or None where there is none in that folder or above it."""
    for folder in (run_folder, *run_folder.parents):
        path = folder / RECORD_FILE
        if path.is_file():
            stood = path.stat()
            try:
                record, ours = _with_folders(folder, stood.st_ino, stood.st_mtime_ns, stood.st_size)
            except ValueError:
                return None
            return record if run_folder.resolve() in ours else None
    return None


@lru_cache(maxsize=4)
def _with_folders(folder: Path, *state: int) -> tuple[Record, frozenset[Path]]:
    """Read a folder's record, in one state of its file: a sweep's is long, and looked at for each of its runs."""
    record = read(folder)
    return record, frozenset(record.folder_of(run).resolve() for run in record.runs)


def _plain(value: Any) -> Any:
    """Return a parameter as JSON has it: an infinity or NaN, which JSON lacks, becomes its name."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
