"""Where the compared runs come from: the commands, the states of the code, the packages and the machines."""

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd

from pgexp.comparison.store import ComparisonError, opened
from pgexp.schema.names import GIT_FILE, LOCK_FILE, MACHINE_FILE, ORIGIN_FILE, PACKAGES_FILE, PROVENANCE_FOLDER
from pgexp.storage.files import read_json
from pgexp.storage.local_artifacts import local_folder

SHOWN: Final = 12  # letters of a hash
TELLING: Final = ("torch", "numpy", "gymnasium", "mlflow")


@dataclass(frozen=True)
class Origin:
    """What the runs of one sweep and one state of the code come from, as the first of them recorded it."""

    runs: int
    run_id: str
    command: str  # secrets masked
    started: str
    code: str
    commit: str  # empty where the working directory was no checkout
    dirty: bool
    packages: str  # a hash of all their versions
    versions: str  # of those that matter most
    lock: str  # a hash of the lock file; empty where there was none
    machine: str


def origins(runs: pd.DataFrame, uri: str) -> list[Origin]:
    """Return the origins of runs as `frames.runs` returns them, the most runs first; none of runs without a record."""
    found = [
        origin
        for _, rows in runs.groupby(["sweep", "code"], sort=False, dropna=False)
        for origin in _recorded(rows, uri)
    ]
    return sorted(found, key=lambda origin: -origin.runs)


def _recorded(rows: pd.DataFrame, uri: str) -> Iterator[Origin]:
    """Yield the origin that the first run tells which has a record."""
    for run in rows.to_dict("records"):
        with tempfile.TemporaryDirectory() as scratch, suppress(ValueError, KeyError, OSError, ComparisonError):
            yield _origin(_folder(str(run["run_id"]), str(run["artifacts"]), uri, Path(scratch)), rows)
            return


def _folder(run_id: str, artifacts: str, uri: str, scratch: Path) -> Path:
    local = local_folder(artifacts)
    if local is not None:
        return local
    with opened(uri) as client:
        client.download_artifacts(run_id, PROVENANCE_FOLDER, str(scratch))
    return scratch


def _origin(folder: Path, rows: pd.DataFrame) -> Origin:
    """Return what a run's files tell, which `storage.provenance` wrote."""
    machine, origin, git = (read_json(folder / name) for name in (MACHINE_FILE, ORIGIN_FILE, GIT_FILE))
    packages = (folder / PACKAGES_FILE).read_text(encoding="utf-8").splitlines()
    pinned = dict(package.split("==", 1) for package in packages)
    return Origin(
        runs=len(rows),
        run_id=str(rows["run_id"].iloc[0]),
        command=str(origin["command"]),
        started=str(origin["started"]),
        code=str(git["code"])[:SHOWN],
        commit=str(git["commit"] or ""),
        dirty=bool(git["dirty"]),
        packages=_hash("\n".join(packages).encode()),
        versions=", ".join(f"{name} {pinned[name]}" for name in TELLING if name in pinned),
        lock=_hash((folder / LOCK_FILE).read_bytes()) if origin["lock"] else "",
        machine=f"{machine['cpu']}, {machine['cores']} cores, {machine['platform']}, Python {machine['python']}",
    )


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:SHOWN]
