"""Lookup of recorded runs and sweeps by folder, MLflow id or registered model version."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING

from pgexp.runs.secrets import mask_uri
from pgexp.schema.errors import UserError
from pgexp.schema.names import (
    CONFIG_FILE,
    MANIFEST_FILE,
    POLICY_FOLDER,
    REUSED,
    ROLE_RUN,
    ROLE_SWEEP,
    TAG_FOLDER,
    TAG_ROLE,
    TAG_SWEEP,
    member_tag,
)
from pgexp.tracking.store import full_uri, is_absent

if TYPE_CHECKING:
    from pgexp.tracking.client import MlflowClient, Run

_RUN_ID = re.compile(r"[0-9a-f]{32}")
_SWEEP_ID = re.compile(r"[\w.-]+")
_MODEL_VERSION = re.compile(r"(?:models:/)?([^/:@]+)(?:/(\d+)|@([^/:@]+))")


@dataclass(frozen=True)
class LocatedRun:
    """A recorded run: its folder, and its MLflow run if it was located by that."""

    folder: Path
    run_id: str | None = None
    copied: bool = False  # whether the folder is a temporary copy of the run's artifacts


@dataclass(frozen=True)
class LocatedSweep:
    """A recorded sweep: its folder, and those of its recorded runs, in their order."""

    folder: Path
    runs: tuple[Path, ...]
    copied: bool = False  # whether the folders are temporary copies of the runs' artifacts


@contextmanager
def locate_run(name: str, uri: str) -> Iterator[LocatedRun]:
    """Yield the run with a folder, or with an id in the store at `uri`.

    If the folder of a run with that id is lost, its artifacts are downloaded. Raises UserError if there is no such run,
    or it is a sweep.
    """
    folder = Path(name)
    if not _exists(folder) and _RUN_ID.fullmatch(name):
        with _run_by_id(name, uri) as found:
            yield found
        return
    if _exists(folder / CONFIG_FILE):
        yield LocatedRun(folder.absolute())
        return
    if _exists(folder / MANIFEST_FILE):
        text = f"{name} is the folder of a sweep. Name one of its runs, such as {name.rstrip('/')}/0"
    elif _exists(folder):
        text = f"{name} has no recorded run: {CONFIG_FILE} is missing"
    else:
        text = f"must be an existing folder of a run, or an MLflow run id of 32 hexadecimal digits (got {name!r})"
    raise UserError.at("run", text)


@contextmanager
def locate_sweep(name: str, uri: str) -> Iterator[LocatedSweep]:
    """Yield the sweep with a folder, or with an id in the store at `uri`: the sweep's, or that of its MLflow run.

    If its folder is lost, the artifacts of its runs are downloaded. Raises UserError if there is no such sweep, or it
    is a single run.
    """
    folder = Path(name)
    if _exists(folder):
        yield LocatedSweep(folder.absolute(), _runs_below(name, folder.absolute()))
    elif "/" not in name and _SWEEP_ID.fullmatch(name):
        with _sweep_by_id(name, uri) as found:
            yield found
    else:
        raise UserError.at("sweep", f"must be an existing folder of a sweep, or a sweep's id in MLflow (got {name!r})")


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False  # the name is not valid, or access is denied


def _runs_below(name: str, folder: Path) -> tuple[Path, ...]:
    """Return the folders of a sweep's runs by its manifest, which numbered copies of artifacts lack."""
    from pgexp.runs.manifest import load_manifest  # loads pydantic, which the lookup of one run does not need

    if (folder / CONFIG_FILE).is_file():
        raise UserError.at("sweep", f"{name} is the folder of a single run. Name that of a sweep")
    if not (folder / MANIFEST_FILE).is_file():
        runs = [path.parent for path in folder.glob(f"*/{CONFIG_FILE}")]
        if not runs:
            raise UserError.at("sweep", f"{name} is not the folder of a sweep: {MANIFEST_FILE} is missing")
        return tuple(sorted(runs, key=lambda run: (len(run.name), run.name)))
    try:
        manifest = load_manifest(folder)
    except ValueError as error:
        raise UserError.at("sweep", str(error)) from error
    folders = [*map(manifest.folder_of, manifest.runs), *(Path(run.folder) for run in manifest.cached)]
    return tuple(run for run in folders if (run / CONFIG_FILE).is_file())


@contextmanager
def _run_by_id(run_id: str, uri: str) -> Iterator[LocatedRun]:
    with _connected("run", run_id, uri) as client, tempfile.TemporaryDirectory(prefix="pgexp-") as copy:
        with _user_errors("run", run_id, uri):
            run = client.get_run(run_id)
            role = run.data.tags.get(TAG_ROLE)
            if role != ROLE_RUN:
                kind = f"the run of a {role}. Name one of its runs" if role else "not recorded by pgexp"
                raise UserError.at("run", f"{run_id} is {kind}")
            folder = Path(run.data.tags.get(TAG_FOLDER, copy))
            is_lost = not (folder / CONFIG_FILE).is_file()
            if is_lost:
                _download(client, run, Path(copy))
        yield LocatedRun(Path(copy) if is_lost else folder, run_id, copied=is_lost)


@contextmanager
def _sweep_by_id(name: str, uri: str) -> Iterator[LocatedSweep]:
    with _connected("sweep", name, uri) as client, tempfile.TemporaryDirectory(prefix="pgexp-") as copy:
        with _user_errors("sweep", name, uri):
            runs = _runs_of_sweep(client, name)
            folders = [Path(run.data.tags[TAG_FOLDER]) for run in runs if run.data.tags.get(TAG_ROLE) == ROLE_SWEEP]
            folder = next((folder for folder in folders if (folder / MANIFEST_FILE).is_file()), None)
            seeds = [run for run in runs if run.data.tags.get(TAG_ROLE) == ROLE_RUN]
            if not seeds:
                raise UserError.at("sweep", f"{mask_uri(uri)} has no runs of a sweep {name!r}")
            for number, run in enumerate(seeds if folder is None else ()):
                _download(client, run, Path(copy, str(number)))
        found = Path(copy) if folder is None else folder
        yield LocatedSweep(found, _runs_below(name, found), copied=folder is None)


def _runs_of_sweep(client: "MlflowClient", name: str) -> "list[Run]":
    """Return all runs of the sweep with that id, or whose MLflow run has it, sorted by name, cached runs included."""
    from pgexp.tracking.client import search_all_runs

    sweep = client.get_run(name).data.tags.get(TAG_SWEEP, name) if _RUN_ID.fullmatch(name) else name
    conditions = (f"tags.`{TAG_SWEEP}` = '{sweep}'", f"tags.`{member_tag(sweep)}` = '{REUSED}'")
    found = [run for condition in conditions for run in search_all_runs(client, condition)]
    return sorted(found, key=lambda run: str(run.info.run_name))


def _download(client: "MlflowClient", run: "Run", folder: Path) -> None:
    from pgexp.tracking.artifacts import download_provenance

    folder.mkdir(exist_ok=True)
    client.download_artifacts(run.info.run_id, "", str(folder))
    download_provenance(client, run, folder)
    if not (folder / CONFIG_FILE).is_file():
        text = f"the folder of {run.info.run_name} does not exist any more, and its artifacts lack {CONFIG_FILE}"
        raise UserError.at("run", text)


def is_model_version(name: str) -> bool:
    """Return whether it names a registered model's version: name/3 or name@alias, with or without models:/."""
    return name.startswith("models:/") or (_MODEL_VERSION.fullmatch(name) is not None and not Path(name).exists())


@contextmanager
def locate_version(name: str, uri: str) -> Iterator[LocatedRun]:
    """Yield the run of a registered model's version in the store at `uri`, with a temporary copy of its policy.

    Raises UserError if there is no such version, or pgexp did not log it.
    """
    parts = _MODEL_VERSION.fullmatch(name)
    if parts is None:
        raise UserError.at("run", f"must be models:/name/3 or models:/name@alias for a registered model (got {name!r})")
    model, number, alias = parts.groups()
    from mlflow.artifacts import download_artifacts

    from pgexp.tracking.client import MlflowException, connect  # slow to import

    with tempfile.TemporaryDirectory(prefix="pgexp-") as copy:
        try:
            client = connect(uri)
            number = client.get_model_version_by_alias(model, alias).version if alias else number
            version = client.get_model_version(model, number)
            source = client.get_model_version_download_uri(model, number)  # models:/... is of MLflow's default store
            folder = Path(download_artifacts(source, dst_path=copy, tracking_uri=uri), "data")
        except (MlflowException, OSError) as error:
            reason = shorten(str(error), 160, placeholder=" ...")
            raise UserError.at("run", f"{name} cannot be read from {mask_uri(uri)}: {reason}") from error
        if not (folder / POLICY_FOLDER).is_dir():
            raise UserError.at("run", f"{name} is not a model of pgexp: it lacks {POLICY_FOLDER}")
        yield LocatedRun(folder, version.run_id, copied=True)


@contextmanager
def _connected(key: str, name: str, uri: str) -> "Iterator[MlflowClient]":
    """Yield a client of an existing store; MLflow would create a missing database."""
    if is_absent(uri):
        text = f"{name} is not a folder, and the store {uri} does not exist. Name the store with --uri"
        raise UserError.at(key, text)

    from pgexp.tracking.client import connect  # slow to import

    with _user_errors(key, name, uri):
        client = connect(full_uri(uri))
    yield client


@contextmanager
def _user_errors(key: str, name: str, uri: str) -> Iterator[None]:
    """Turn errors of a store, and of its artifacts, into UserErrors."""
    from sqlalchemy.exc import SQLAlchemyError

    from pgexp.tracking.client import MlflowException

    try:
        yield
    except (MlflowException, SQLAlchemyError, ImportError) as error:  # the last: the database's driver is missing
        reason = shorten(str(error), 200, placeholder=" ...")
        raise UserError.at(key, f"{name} cannot be read from {mask_uri(uri)}: {reason}") from error
    except OSError as error:
        raise UserError.at(key, f"the artifacts of {name} cannot be read: {error}") from error
