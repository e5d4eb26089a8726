"""MLflow's client as pgexp uses it: quiet, and without sending anybody a report of its use.

MLflow reads its environment while it is imported, so whatever needs MLflow imports it from here.
"""

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pgexp.storage.files import replacing
from pgexp.storage.locking import held

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"  # it prints the server's address, password included
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")  # Alembic's too
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")  # by default a call fails after 4 minutes

from mlflow.entities import Metric, Param, Run, RunInfo, RunTag, ViewType
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
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
    "connect",
    "found_runs",
    "param_texts",
]

_SQLITE = "sqlite:///"
_PAGE = 1000  # runs asked for at once
_PARAM_LENGTH = 6000  # MLflow's limit, beyond which it cuts without a word


def connect(uri: str) -> MlflowClient:
    """Return a client of a store; a fresh SQLite database gets its folder and, within seconds, its tables.

    Several processes may do so at once: one of them makes the database, under another name until it is complete.
    """
    with warnings.catch_warnings():  # MLflow's models are older than the SQLAlchemy that it allows
        warnings.filterwarnings("ignore", "The ``noload`` loader strategy is deprecated")
        if uri.startswith(_SQLITE):
            uri = _SQLITE + str(Path.cwd() / uri.removeprefix(_SQLITE))  # MLflow keeps one store for each text of it
            if not _database(uri).exists():
                _make(_database(uri))
        return MlflowClient(uri)


def _make(database: Path) -> None:
    database.parent.mkdir(parents=True, exist_ok=True)
    with held(database.with_name(f"{database.name}.lock"), wait=True):
        if not database.exists():
            with replacing(database) as draft:
                MlflowClient(f"{_SQLITE}{draft}")


def found_runs(
    client: MlflowClient, experiments: Sequence[str], condition: str, stage: int = ViewType.ACTIVE_ONLY
) -> Iterator[Run]:
    """Yield the runs of some experiments that meet a condition, the newest first, page by page."""
    token = None
    while True:
        page = client.search_runs(list(experiments), condition, stage, _PAGE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def param_texts(params: Mapping[str, object]) -> dict[str, str]:
    """Return parameters as MLflow keeps them."""
    return {name: str(value)[:_PARAM_LENGTH] for name, value in params.items()}


def artifact_location(uri: str) -> str | None:
    """Return where artifacts go: beside an SQLite database; where there is a server, it decides."""
    return _database(uri).with_name("mlartifacts").as_uri() if uri.startswith(_SQLITE) else None


def _database(uri: str) -> Path:
    return Path(uri.removeprefix(_SQLITE).partition("?")[0])
