"""Finds a recorded run, or a sweep, by what a user calls it: its folder, or its id in MLflow."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING

from pgexp.schema.errors import ConfigError, Problem
from pgexp.schema.names import (
    CONFIG_FILE,
    RECORD_FILE,
    REUSED,
    ROLE_RUN,
    ROLE_SWEEP,
    TAG_FOLDER,
    TAG_ROLE,
    TAG_SWEEP,
    member_tag,
)
from pgexp.storage.secrets import mask_uri
from pgexp.storage.store_uri import full_uri

if TYPE_CHECKING:
    from pgexp.storage.mlflow_client import MlflowClient, Run

_RUN_ID = re.compile(r"[0-9a-f]{32}")
_SWEEP_ID = re.compile(r"[\w.-]+")
_SQLITE = "sqlite:///"


@dataclass(frozen=True)
class FoundRun:
    """A recorded run: a folder that holds its files, and its MLflow run where it was named by that."""

    folder: Path
    run_id: str | None = None
    copied: bool = False  # whether the folder is a passing copy of the run's artifacts


@dataclass(frozen=True)
class FoundSweep:
    """A recorded sweep: its folder, and those of its runs that were recorded, in their order."""

    folder: Path
    runs: tuple[Path, ...]
    copied: bool = False  # whether the folders are passing copies of the runs' artifacts


@contextmanager
def found_run(name: str, uri: str) -> Iterator[FoundRun]:
    """Yield the run of that folder, or of that id in the store at `uri`, whose artifacts stand in for a lost folder.

    Raises ConfigError where there is none, or it is a sweep and holds several.
    """
    folder = Path(name)
    if not _stands(folder) and _RUN_ID.fullmatch(name):
        with _run_by_id(name, uri) as found:
            yield found
        return
    if not _stands(folder / CONFIG_FILE):
        raise _problem("run", _no_run(name, folder))
    yield FoundRun(folder.absolute())


@contextmanager
def found_sweep(name: str, uri: str) -> Iterator[FoundSweep]:
    """Yield the sweep of that folder, or of that id in the store at `uri`: the sweep's own, or its MLflow run's.

    The artifacts of its runs stand in for a lost folder. Raises ConfigError where there is none, or it is one run.
    """
    folder = Path(name)
    if _stands(folder):
        yield FoundSweep(folder.absolute(), _runs_below(name, folder.absolute()))
    elif "/" not in name and _SWEEP_ID.fullmatch(name):
        with _sweep_by_id(name, uri) as found:
            yield found
    else:
        raise _problem("sweep", f"given {name!r}; must be a sweep's folder, which exists, or a sweep's id in MLflow")


def _stands(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False  # no file can have that name, or it is not ours to see


def _no_run(name: str, folder: Path) -> str:
    if _stands(folder / RECORD_FILE):
        return f"{name} is a sweep's folder; name one of its runs, as {name.rstrip('/')}/0"
    if _stands(folder):
        return f"{name} holds no recorded run: it has no {CONFIG_FILE}"
    return f"given {name!r}; must be a run's folder, which exists, or an MLflow run id, of 32 hexadecimal digits"


def _runs_below(name: str, folder: Path) -> tuple[Path, ...]:
    """Return the folders of a sweep's runs, by its record; copies of artifacts, numbered, have none."""
    from pgexp.storage.record import read  # pydantic, which is not wanted to find one run

    if (folder / CONFIG_FILE).is_file():
        raise _problem("sweep", f"{name} is a single run's folder: name a sweep's")
    if not (folder / RECORD_FILE).is_file():
        runs = [path.parent for path in folder.glob(f"*/{CONFIG_FILE}")]
        if not runs:
            raise _problem("sweep", f"{name} is no sweep's folder: it has no {RECORD_FILE}")
        return tuple(sorted(runs, key=lambda run: (len(run.name), run.name)))
    try:
        record = read(folder)
    except ValueError as error:
        raise _problem("sweep", str(error)) from error
    folders = [*map(record.folder_of, record.runs), *(Path(run.folder) for run in record.reused)]
    return tuple(run for run in folders if (run / CONFIG_FILE).is_file())


@contextmanager
def _run_by_id(run_id: str, uri: str) -> Iterator[FoundRun]:
    with _store("run", run_id, uri) as client, tempfile.TemporaryDirectory(prefix="pgexp-") as copy:
        with _told("run", run_id, uri):
            run = client.get_run(run_id)
            role = run.data.tags.get(TAG_ROLE)
            if role != ROLE_RUN:
                told = f"is a {role}'s, not one of its runs'" if role else "is of a run that pgexp did not record"
                raise _problem("run", f"{run_id} {told}")
            folder = Path(run.data.tags.get(TAG_FOLDER, copy))
            lost = not (folder / CONFIG_FILE).is_file()
            if lost:
                _download(client, run, Path(copy))
        yield FoundRun(Path(copy) if lost else folder, run_id, copied=lost)


@contextmanager
def _sweep_by_id(name: str, uri: str) -> Iterator[FoundSweep]:
    with _store("sweep", name, uri) as client, tempfile.TemporaryDirectory(prefix="pgexp-") as copy:
        with _told("sweep", name, uri):
            runs = _runs_of(client, name)
            folders = [Path(run.data.tags[TAG_FOLDER]) for run in runs if run.data.tags.get(TAG_ROLE) == ROLE_SWEEP]
            standing = [folder for folder in folders if (folder / RECORD_FILE).is_file()]
            seeds = [run for run in runs if run.data.tags.get(TAG_ROLE) == ROLE_RUN]
            if not seeds:
                raise _problem("sweep", f"{mask_uri(uri)} has no runs of a sweep {name!r}")
            for number, run in enumerate(() if standing else seeds):
                _download(client, run, Path(copy, str(number)))
        folder = standing[0] if standing else Path(copy)
        yield FoundSweep(folder, _runs_below(name, folder), copied=not standing)


def _runs_of(client: "MlflowClient", name: str) -> "list[Run]":
    """Return all runs of the sweep of that id, or whose own run has that id, in the order of their names.

    Those of other sweeps that it reuses are among them.
    """
    from pgexp.storage.mlflow_client import found_runs

    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    sweep = client.get_run(name).data.tags.get(TAG_SWEEP, name) if _RUN_ID.fullmatch(name) else name
    conditions = (f"tags.`{TAG_SWEEP}` = '{sweep}'", f"tags.`{member_tag(sweep)}` = '{REUSED}'")
    found = [run for condition in conditions for run in found_runs(client, experiments, condition)]
    return sorted(found, key=lambda run: str(run.info.run_name))


def _download(client: "MlflowClient", run: "Run", folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    client.download_artifacts(run.info.run_id, "", str(folder))
    if not (folder / CONFIG_FILE).is_file():
        text = f"the folder of {run.info.run_name} is gone, and its artifacts hold no {CONFIG_FILE} to stand in for it"
        raise _problem("run", text)


@contextmanager
def _store(key: str, name: str, uri: str) -> "Iterator[MlflowClient]":
    """Yield a client of a store that is there; MLflow would make a database that is not."""
    if uri.startswith(_SQLITE) and not Path(uri.removeprefix(_SQLITE).partition("?")[0]).is_file():
        raise _problem(key, f"{name} is no folder, and there is no store at {uri} to look in; name one with --uri")

    from pgexp.storage.mlflow_client import connect  # takes seconds

    with _told(key, name, uri):
        client = connect(full_uri(uri))
    yield client


@contextmanager
def _told(key: str, name: str, uri: str) -> Iterator[None]:
    """Tell a store's errors as ConfigErrors."""
    from sqlalchemy.exc import SQLAlchemyError

    from pgexp.storage.mlflow_client import MlflowException

    try:
        yield
    except (MlflowException, SQLAlchemyError, ImportError) as error:  # the last: a database without its driver
        reason = shorten(str(error), 200, placeholder=" ...")
        raise _problem(key, f"{name} can't be read from {mask_uri(uri)}: {reason}") from error
    except OSError as error:
        raise _problem(key, f"the artifacts of {name} can't be read: {error}") from error


def _problem(key: str, text: str) -> ConfigError:
    return ConfigError([Problem(key, text)])
