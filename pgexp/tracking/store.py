"""Address, client settings and errors of an MLflow store, without an import of MLflow."""

import logging
import os
from pathlib import Path
from typing import Final

from pgexp.runs.secrets import MASK, mask_uri
from pgexp.schema.errors import UserError

URI_VARIABLE: Final = "MLFLOW_TRACKING_URI"

_SQLITE: Final = "sqlite:///"
_MESSAGE_LENGTH = 400  # a state of the exporter then fits into the 4,096 bytes that a pipe accepts at once

# MLflow reads these variables on import. Its defaults retry a failed call for 4 minutes.
_ALWAYS: Final = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # the printed address would include the password
}
_DEFAULTS: Final = {
    "MLFLOW_LOGGING_LEVEL": "WARNING",  # also of Alembic
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
}
COMMAND_SETTINGS: Final = {  # of a command that reads from a store, and can be repeated
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",  # MLflow logs tracebacks of errors that pgexp reports in one line
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}
_EXPORT: Final = {  # of an exporter
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # the exporter itself retries
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",  # errors are reported in one line instead of MLflow's tracebacks
}
_EXPORT_DEFAULTS: Final = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "60"}


def client_settings() -> dict[str, str]:
    """Return the environment variables of MLflow's client; those that the user has set keep their values."""
    return {**_DEFAULTS, **os.environ, **_ALWAYS}


def configure_command() -> None:
    """Set MLflow's environment variables for a command that reads from a store, unless the user has set them."""
    os.environ.update({**COMMAND_SETTINGS, **os.environ})
    logging.getLogger("urllib3").setLevel(logging.CRITICAL)


def configure_export() -> None:
    """Set MLflow's environment variables for an exporter."""
    os.environ.update({**_EXPORT_DEFAULTS, **os.environ, **_EXPORT})


def full_uri(recorded: str) -> str:
    """Return a recorded address with its password, which is read from MLFLOW_TRACKING_URI.

    Raises UserError if the variable is not set or names another store.
    """
    if MASK not in recorded:
        return recorded
    uri = os.environ.get(URI_VARIABLE, "")
    if mask_uri(uri) == recorded:
        return uri
    problem = f"names {mask_uri(uri)}" if uri else "is not set"
    text = f"the password of {recorded} is not recorded, and {URI_VARIABLE} {problem}. Set it to the full address"
    raise UserError.at("tracking.uri", text)


def absolute_uri(uri: str) -> str:
    """Return a store's address; the path of a database file is relative to the working directory."""
    return _SQLITE + str(Path.cwd() / uri.removeprefix(_SQLITE)) if uri.startswith(_SQLITE) else uri


def database_of(uri: str) -> Path | None:
    """Return the file of an SQLite store, or None for other stores."""
    return Path(uri.removeprefix(_SQLITE).partition("?")[0]) if uri.startswith(_SQLITE) else None


def database_uri(database: Path) -> str:
    """Return the address of an SQLite store."""
    return f"{_SQLITE}{database}"


def is_absent(uri: str) -> bool:
    """Return whether the store is a database file that does not exist; MLflow would create it."""
    database = database_of(uri)
    return database is not None and not database.is_file()


def is_server(uri: str) -> bool:
    """Return whether the store is a server, whose answer to a successful call may be lost."""
    return uri.startswith(("http://", "https://"))


def local_folder(location: str) -> Path | None:
    """Return the folder of an artifact location, or None if it is not in this file system."""
    from urllib.parse import urlsplit
    from urllib.request import url2pathname  # slow to import, and most commands do not need it

    parts = urlsplit(location)
    if parts.scheme not in ("", "file") or parts.netloc not in ("", "localhost"):
        return None
    return Path(url2pathname(parts.path))


def short_error(error: Exception) -> str:
    """Return the cause of an error in one line, without passwords."""
    while type(error).__module__ != "builtins" and isinstance(cause := error.__cause__ or error.__context__, Exception):
        error = cause
    text = str(error) if isinstance(error, UserError | ValueError) else f"{type(error).__name__}: {error}"
    return " ".join(mask_uri(text).split())[:_MESSAGE_LENGTH]
