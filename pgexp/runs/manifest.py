"""Manifest of a command: its runs, their folders and their MLflow store; and the config file of a run.

The manifest is written before training starts, so that other processes can follow or export the runs.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import TypeAdapter, ValidationError

from pgexp.runs.files import read_json, require_inside, write_json
from pgexp.runs.secrets import find_masked, mask_uri, masked
from pgexp.schema.config import RunConfig
from pgexp.schema.errors import Problem, UserError
from pgexp.schema.identity import config_mapping
from pgexp.schema.names import CONFIG_FILE, MANIFEST_FILE, ROWS_FILE, RUN_FILE
from pgexp.schema.parse import parse


@dataclass(frozen=True)
class Tracking:
    """MLflow store of the runs, and the metrics that it shows as curves."""

    uri: str  # with the absolute path of an SQLite file
    experiment: str
    max_points: int  # per curve; the Parquet file has all rows
    metrics: tuple[str, ...] = ("*",)  # those with a curve, by name or pattern


@dataclass(frozen=True)
class RunEntry:
    """Run in a manifest: one configuration with one seed."""

    folder: str  # relative to the manifest's folder; "." for a single run
    record: str  # uuid4 hex of this training, by which its MLflow run is found
    name: str
    key: str
    configuration: str
    configuration_name: str
    seed: int
    params: dict[str, str | int | float | bool]
    tags: dict[str, str]


@dataclass(frozen=True)
class CachedRun:
    """Run that has finished before, in another sweep or by itself, and is used in this sweep unchanged."""

    folder: str  # absolute
    record: str
    name: str
    key: str
    configuration: str
    configuration_name: str  # its name in this sweep
    seed: int
    params: dict[str, str | int | float | bool]
    score: float | None  # mean return of its final evaluation


@dataclass(frozen=True)
class SweepManifest:
    """All runs of a command: a sweep, or a single run, whose `sweep` is None.

    A search adds runs to its sweep, and writes the manifest again.
    """

    folder: Path  # of the file, which does not contain it
    sweep: str | None
    name: str
    command: str  # secrets masked
    tracking: Tracking
    runs: tuple[RunEntry, ...]
    tags: dict[str, str]  # of each MLflow run
    settings: dict[str, Any] | None = None  # a sweep's keys `sweep` and `workers`
    cached: tuple[CachedRun, ...] = ()  # a sweep may consist of cached runs only

    def __post_init__(self) -> None:
        """Raise ValueError if runs could not be distinguished."""
        if self.sweep is None and len(self.runs) != 1:
            raise ValueError(f"a manifest without a sweep must have exactly one run (got {len(self.runs)})")
        if self.sweep is None and self.cached:
            raise ValueError("a manifest without a sweep must not have cached runs")
        for identity in ("folder", "record"):
            if len({getattr(run, identity) for run in self.members}) != len(self.members):
                raise ValueError(f"two runs have the same {identity}")
        for run in self.runs:
            require_inside(run.folder)

    @property
    def members(self) -> tuple[RunEntry | CachedRun, ...]:
        """All runs: those that are trained, followed by the cached ones."""
        return self.runs + self.cached

    def folder_of(self, run: RunEntry) -> Path:
        """Return the folder of a run."""
        return self.folder / run.folder


_MANIFEST = TypeAdapter(SweepManifest)


def save_manifest(manifest: SweepManifest) -> None:
    """Write the file of each run into its folder, then the manifest's: if it exists, all of them do.

    The password in the store's address is masked. A reader takes it from the environment (`full_uri`).
    """
    fields = asdict(manifest)
    del fields["folder"]
    fields["tracking"]["uri"] = mask_uri(manifest.tracking.uri)
    for run_fields in (*fields["runs"], *fields["cached"]):
        run_fields["params"] = {name: _as_json(value) for name, value in run_fields["params"].items()}
    for run, run_fields in zip(manifest.runs, fields["runs"], strict=True):
        write_json(manifest.folder_of(run) / RUN_FILE, run_fields)
    write_json(manifest.folder / MANIFEST_FILE, fields)


def load_manifest(folder: Path) -> SweepManifest:
    """Return the manifest in a folder. Raises ValueError with the file's name and all its errors."""
    path = folder / MANIFEST_FILE
    try:
        return _MANIFEST.validate_python(read_json(path) | {"folder": folder})
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, e['loc'])) or 'manifest'}: {e['msg']}" for e in error.errors())
        raise ValueError(f"{path}: {'; '.join(problems)}") from error


def manifest_of(run_folder: Path) -> SweepManifest | None:
    """Return the manifest that lists the run of a folder, in that folder or above it, or None."""
    for folder in (run_folder, *run_folder.parents):
        path = folder / MANIFEST_FILE
        if path.is_file():
            status = path.stat()
            try:
                manifest, folders = _load_with_folders(folder, status.st_ino, status.st_mtime_ns, status.st_size)
            except ValueError:
                return None
            return manifest if run_folder.resolve() in folders else None
    return None


@lru_cache(maxsize=4)
def _load_with_folders(folder: Path, *file_state: int) -> tuple[SweepManifest, frozenset[Path]]:
    """Return a folder's manifest and its runs' folders; a sweep's is long, and is read for each of its runs."""
    manifest = load_manifest(folder)
    return manifest, frozenset(manifest.folder_of(run).resolve() for run in manifest.runs)


def find_manifests(path: Path) -> list[Path]:
    """Return the folders with a manifest at or below a path, or that of the sweep of a run's folder.

    Raises ValueError if a manifest above a run's folder is damaged.
    """
    found = sorted(manifest.parent for manifest in path.rglob(MANIFEST_FILE))
    if not found and (path / RUN_FILE).is_file():
        for folder in path.absolute().parents:
            if (folder / MANIFEST_FILE).is_file():
                manifest = load_manifest(folder)
                if path.resolve() in {manifest.folder_of(run).resolve() for run in manifest.runs}:
                    return [folder]
    return found


def require_new(folder: Path, key: str = "hydra.run.dir") -> None:
    """Raise UserError with a key if a run or sweep is recorded in the folder.

    This includes a run that was killed before its first row, since MLflow may have it already.
    """
    is_recorded = any((folder / name).exists() for name in (ROWS_FILE, MANIFEST_FILE))
    if is_recorded or manifest_of(folder) is not None:
        text = f"{folder} has a recorded run already. Choose another folder, or continue the run with pgexp-resume"
        raise UserError.at(key, text)


def write_config(config: RunConfig, folder: Path) -> None:
    """Write a run's config into its folder, with secrets masked."""
    write_json(folder / CONFIG_FILE, masked(config_mapping(config)) | {"choices": dict(config.choices)})


def read_config(
    folder: Path, secrets: Mapping[str, Any] = MappingProxyType({}), changes: Mapping[str, Any] = MappingProxyType({})
) -> RunConfig:
    """Return the config in a run's folder.

    Args:
        folder: the run's.
        secrets: values of secrets that were masked, by dotted key.
        changes: values that replace recorded ones, by dotted key.

    Raises UserError if the file is missing or damaged, a change is invalid, a secret is missing, or a key of `secrets`
    was not masked.
    """
    try:
        fields = read_json(folder / CONFIG_FILE)
    except ValueError as error:
        raise UserError.at("run", f"{error}; no run is recorded there") from error
    choices = fields.pop("choices", {})
    if not isinstance(choices, dict):
        raise UserError.at("choices", f"must be a mapping of groups to options (got {choices!r})")
    others = sorted(secrets.keys() - set(find_masked(fields)))
    if others:
        text = "must be a masked secret: other values are read from the run's folder"
        raise UserError([Problem(key, text) for key in others])
    for key, value in {**secrets, **changes}.items():
        _set_dotted(fields, key, value)
    missing = [key for key in find_masked(fields) if not key.startswith("tracking.")]
    if missing:
        text = f"is a secret, which was masked when the run was recorded. Set it again: {missing[0]}=..."
        raise UserError.at(missing[0], text)
    return parse(fields, {str(group): str(option) for group, option in choices.items()})


def _set_dotted(fields: dict[str, Any], key: str, value: Any) -> None:
    *path, last = key.split(".")
    section = fields
    for name in path:
        section = section.setdefault(name, {}) if isinstance(section, dict) else section
    if not isinstance(section, dict):
        raise UserError.at(key, "must not be below a value, which has no keys")
    section[last] = value


def _as_json(value: Any) -> Any:
    """Return a parameter for JSON: the names of infinity and NaN, which JSON lacks, and other values unchanged."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
