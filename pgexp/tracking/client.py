"""MLflow's client, configured to be quiet and to send no telemetry.

MLflow reads its environment on import, so all other modules import MLflow's names from here.
"""

import os
import sqlite3
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pgexp.runs.files import replace_file
from pgexp.runs.locking import lock
from pgexp.tracking.store import absolute_uri, client_settings, database_of, database_uri

os.environ.update(client_settings())

from mlflow.entities import Metric, Param, Run, RunInfo, RunTag, ViewType
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sqlalchemy import Engine, event
from sqlalchemy.exc import SQLAlchemyError

__all__ = [
    "Metric",
    "MlflowClient",
    "MlflowException",
    "Param",
    "Run",
    "RunInfo",
    "RunTag",
    "SQLAlchemyError",
    "ViewType",
    "artifact_location",
    "commit_without_sync",
    "connect",
    "flush",
    "open_experiment",
    "param_texts",
    "search_all_runs",
    "search_runs",
]

_PAGE = 1000  # runs per request
_PARAM_LENGTH = 6000  # MLflow's limit, beyond which it truncates silently
_EXISTS = "RESOURCE_ALREADY_EXISTS"


def connect(uri: str) -> MlflowClient:
    """Return a client of a store. A new SQLite database gets its folder and its tables, which takes seconds.

    Several processes may call it at once: one of them creates the database, under another name until it is complete.
    """
    with warnings.catch_warnings():  # MLflow's models are older than the SQLAlchemy that it allows
        warnings.filterwarnings("ignore", "The ``noload`` loader strategy is deprecated")
        uri = absolute_uri(uri)  # MLflow caches a store per address
        database = database_of(uri)
        if database is not None and not database.exists():
            database.parent.mkdir(parents=True, exist_ok=True)
            with lock(database.with_name(f"{database.name}.lock"), wait=True):
                if not database.exists():
                    with replace_file(database) as draft:
                        MlflowClient(database_uri(draft))
        return MlflowClient(uri)


def commit_without_sync() -> None:
    """Make this process commit to SQLite without waiting for the disk, which halves the cost of an export.

    A killed process loses nothing. If the machine loses power before `flush`, the database may be damaged; it can be
    created again from the runs' folders.
    """
    if not event.contains(Engine, "connect", _set_asynchronous):
        event.listen(Engine, "connect", _set_asynchronous)


def _set_asynchronous(connection: Any, _: object) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous=OFF").close()


def flush(uri: str) -> None:
    """Wait until an SQLite database is written to disk. Other stores do that themselves."""
    database = database_of(uri)
    if database is not None:
        with database.open("rb") as file:
            os.fsync(file.fileno())


def open_experiment(client: MlflowClient, uri: str, name: str) -> str:
    """Return the id of the experiment, which is created if it is missing. Raises ValueError if it is deleted."""
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        try:
            return client.create_experiment(name, artifact_location(uri))
        except MlflowException as error:  # another process may have created it meanwhile
            experiment = client.get_experiment_by_name(name) if error.error_code == _EXISTS else None
            if experiment is None:
                raise
    if experiment.lifecycle_stage == "deleted":
        command = f"mlflow experiments restore --experiment-id {experiment.experiment_id}"
        raise ValueError(f"the MLflow experiment {name} is deleted. Restore it ({command}), or choose another name")
    return experiment.experiment_id


def search_runs(
    client: MlflowClient, experiments: Sequence[str], condition: str, stage: int = ViewType.ACTIVE_ONLY
) -> Iterator[Run]:
    """Yield the runs of experiments that satisfy a condition, newest first. They are requested page by page."""
    token = None
    while True:
        page = client.search_runs(list(experiments), condition, stage, _PAGE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def search_all_runs(client: MlflowClient, condition: str) -> Iterator[Run]:
    """Yield the runs of all experiments that satisfy a condition, newest first."""
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return search_runs(client, experiments, condition)


def param_texts(params: Mapping[str, object]) -> dict[str, str]:
    """Return parameters as MLflow stores them."""
    return {name: str(value)[:_PARAM_LENGTH] for name, value in params.items()}


def artifact_location(uri: str) -> str | None:
    """Return the folder of artifacts: that of an SQLite database, or None for a server, which decides itself."""
    database = database_of(uri)
    return None if database is None else Path(database).with_name("mlartifacts").as_uri()
