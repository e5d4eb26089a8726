"""The MLflow store that a comparison reads: opened, or refused in one sentence that names the remedy."""

import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

from pgexp.schema.errors import ConfigError
from pgexp.storage.secrets import mask_uri
from pgexp.storage.store_uri import full_uri

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

DEFAULT_URI: Final = "sqlite:///mlflow.db"
TRAIN: Final = "pgexp -m baseline=none,value seed='range(5)'"


class ComparisonError(Exception):
    """What keeps a comparison from being made: one sentence for the user, with what to do about it."""


@contextmanager
def opened(uri: str) -> Iterator["MlflowClient"]:
    """Yield a client of the store; ComparisonError where it is missing, unreachable or of another version.

    MLflow creates an SQLite file that does not exist, writes its tables into any database and upgrades an old
    store as it opens it. A comparison only reads, so these three are refused beforehand.
    """
    _check_address(uri)
    address = _with_password(uri)
    from pgexp.storage.mlflow_client import MlflowException, SQLAlchemyError, connect

    try:
        yield connect(_absolute(address))  # MLflow remembers stores by address, whatever the working directory
    except (MlflowException, SQLAlchemyError, ImportError) as error:  # the last: a database without its driver
        reason = shorten(mask_uri(str(error)), 160, placeholder=" ...")
        raise ComparisonError(f"{shown(uri)} can't be read: is it up? --uri names another ({reason})") from error


def shown(uri: str) -> str:
    """Return the store's address as it may be printed: a relative SQLite path absolute, a password hidden."""
    return mask_uri(_absolute(uri))


def open_ui(uri: str) -> str:
    """Return what opens the MLflow UI on the store: a server's own address, else the command to run."""
    if _is_server(uri):
        return f"open {shown(uri)}"
    return f"mlflow ui --backend-store-uri {shlex.quote(shown(uri))} --host 127.0.0.1 --port 5000"


def curves_link(uri: str, sweep: str) -> str | None:
    """Return the address of a sweep's learning curves in the UI that `open_ui` opens.

    None where the store has no view of them: it keeps those of an experiment's last sweep.
    """
    from pgexp.storage.mlflow_views import curves_page

    with opened(uri) as client:
        page = curves_page(client, sweep)
    return page and (shown(uri).rstrip("/") if _is_server(uri) else "http://127.0.0.1:5000") + page


def _is_server(uri: str) -> bool:
    return urlsplit(uri).scheme in ("http", "https")


def _with_password(uri: str) -> str:
    try:
        return full_uri(uri)
    except ConfigError as error:
        raise ComparisonError(error.problems[0].text) from error


def _absolute(uri: str) -> str:
    database, path = _sqlite_file(uri), urlsplit(uri).path
    return uri if database is None else uri.replace(path, f"/{database.absolute()}", 1)


def _sqlite_file(uri: str) -> Path | None:
    """Return the file of an SQLite address (three slashes: relative, four: absolute), None for others."""
    parts = urlsplit(uri)
    return Path(parts.path[1:]) if parts.scheme.partition("+")[0] == "sqlite" else None


def _check_address(uri: str) -> None:
    if urlsplit(uri).scheme in ("", "file"):
        raise ComparisonError(f"{uri} is no address of a store: write sqlite:///path/to/mlflow.db or http://host:port")
    database = _sqlite_file(uri)
    if database is not None:
        _check_revision(uri, database)


def _check_revision(uri: str, database: Path) -> None:
    """Refuse a database that the MLflow installed here did not make, by the revision of its schema."""
    found, expected, known = _revision(database), *_migrations()
    if found == expected:
        return
    if found in known:
        remedy = f"back it up, then run: mlflow db upgrade {shlex.quote(shown(uri))}"
        raise ComparisonError(f"the store {database} was made by an older MLflow than is installed: {remedy}")
    raise ComparisonError(
        f"the store {database} was made by a newer MLflow than is installed: install the one that made it"
    )


def _revision(database: Path) -> str:
    if not database.is_file():
        raise ComparisonError(
            f"there is no store at {database.absolute()}: name one with --uri, or train first, for example: {TRAIN}"
        )
    try:
        with closing(sqlite3.connect(f"file:{quote(str(database))}?mode=ro", uri=True)) as connection:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error as error:
        raise ComparisonError(f"{database} is not an MLflow store ({error}): name one with --uri") from error
    if row is None:
        raise ComparisonError(f"{database} is an unfinished MLflow store: delete it, or name one with --uri")
    return str(row[0])


@cache
def _migrations() -> tuple[str | None, frozenset[str]]:
    """Return the schema revision of the MLflow installed here, and all those it knows."""
    import mlflow
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(str(Path(mlflow.__file__).parent / "store" / "db_migrations"))
    return scripts.get_current_head(), frozenset(script.revision for script in scripts.walk_revisions())
