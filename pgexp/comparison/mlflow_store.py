"""Access to an MLflow store: its address, checks before opening, and its UI. Imports neither MLflow nor pandas."""

import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

from pgexp.runs.secrets import mask_uri
from pgexp.schema.errors import UserError
from pgexp.tracking.store import full_uri

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

DEFAULT_URI: Final = "sqlite:///mlflow.db"
TRAIN_EXAMPLE: Final = "pgexp -m baseline=none,value seed='range(5)'"


@contextmanager
def open_store(uri: str) -> Iterator["MlflowClient"]:
    """Yield a client of the store. Raises UserError if it is missing, unreachable or of another version.

    MLflow creates an SQLite file that does not exist, writes its tables into any database and upgrades an old store on
    opening. A comparison only reads, so it refuses these three cases first.
    """
    if urlsplit(uri).scheme in ("", "file"):
        raise UserError.at(
            "--uri", f"must be a store's address (got {uri}). Write sqlite:///path/to/mlflow.db or http://host:port"
        )
    database = _sqlite_file(uri)
    if database is not None:
        _check_revision(uri, database)
    address = full_uri(uri)
    from pgexp.tracking.client import MlflowException, SQLAlchemyError, connect

    try:
        yield connect(_absolute(address))  # MLflow remembers stores by address, for any working directory
    except (MlflowException, SQLAlchemyError, ImportError) as error:  # ImportError: a database without its driver
        reason = shorten(mask_uri(str(error)), 160, placeholder=" ...")
        raise UserError.at(
            "--uri", f"cannot read {display_uri(uri)} ({reason}). Check that it runs, or set --uri"
        ) from error


def display_uri(uri: str) -> str:
    """Return the store's address for printing: a relative SQLite path absolute, a password masked."""
    return mask_uri(_absolute(uri))


def ui_command(uri: str) -> str:
    """Return the command or address that opens the MLflow UI of the store."""
    if _is_server(uri):
        return f"open {display_uri(uri)}"
    return f"mlflow ui --backend-store-uri {shlex.quote(display_uri(uri))} --host 127.0.0.1 --port 5000"


def curves_link(uri: str, sweep: str) -> str | None:
    """Return the address of a sweep's learning curves in the UI of `ui_command`.

    None if the store has no saved view of them: it keeps only those of an experiment's last sweep.
    """
    from pgexp.tracking.views import curves_page

    with open_store(uri) as client:
        page = curves_page(client, sweep)
    return page and (display_uri(uri).rstrip("/") if _is_server(uri) else "http://127.0.0.1:5000") + page


def _is_server(uri: str) -> bool:
    return urlsplit(uri).scheme in ("http", "https")


def _absolute(uri: str) -> str:
    database, path = _sqlite_file(uri), urlsplit(uri).path
    return uri if database is None else uri.replace(path, f"/{database.absolute()}", 1)


def _sqlite_file(uri: str) -> Path | None:
    """Return the file of an SQLite address (three slashes: relative, four: absolute), None for others."""
    parts = urlsplit(uri)
    return Path(parts.path[1:]) if parts.scheme.partition("+")[0] == "sqlite" else None


def _check_revision(uri: str, database: Path) -> None:
    """Raise UserError if another version of MLflow created the database, by the revision of its schema."""
    found, expected, known = _revision(database), *_known_revisions()
    if found == expected:
        return
    if found in known:
        remedy = f"Back it up, then run: mlflow db upgrade {shlex.quote(display_uri(uri))}"
        raise UserError.at("--uri", f"the store {database} was created by an older MLflow. {remedy}")
    raise UserError.at("--uri", f"the store {database} was created by a newer MLflow. Install that version")


def _revision(database: Path) -> str:
    if not database.is_file():
        raise UserError.at(
            "--uri", f"no store at {database.absolute()}. Set --uri, or train first, for example: {TRAIN_EXAMPLE}"
        )
    try:
        with closing(sqlite3.connect(f"file:{quote(str(database))}?mode=ro", uri=True)) as connection:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error as error:
        raise UserError.at("--uri", f"{database} is not an MLflow store ({error}). Set --uri") from error
    if row is None:
        raise UserError.at("--uri", f"{database} is an unfinished MLflow store. Delete it, or set --uri")
    return str(row[0])


@cache
def _known_revisions() -> tuple[str | None, frozenset[str]]:
    """Return the schema revision of the installed MLflow, and all revisions that it knows."""
    import mlflow
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(str(Path(mlflow.__file__).parent / "store" / "db_migrations"))
    return scripts.get_current_head(), frozenset(script.revision for script in scripts.walk_revisions())
