"""Where studies are kept: a database of Optuna's, which one command at a time searches in where it is a file."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path

import optuna
from optuna.storages import BaseStorage, RDBStorage
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from pgexp.cli.searching.settings import KEY, Settings
from pgexp.schema.errors import ConfigError, Problem
from pgexp.storage.locking import BlockedError, held
from pgexp.storage.secrets import mask_uri

FILE = "study.db"


def storage_url(settings: Settings, folder: Path) -> str:
    """Return the Optuna URL that the settings name; without one, that of a file in the sweep's own folder."""
    given = str(folder / FILE) if settings.storage is None else settings.storage
    return given if "://" in given else f"sqlite:///{given}"


@contextmanager
def stored(url: str) -> Iterator[BaseStorage]:
    """Open a storage. Raises ConfigError if it cannot be opened, or if another command has its file open."""
    with _locked(url):
        yield _opened(url)


def _locked(url: str) -> AbstractContextManager[object]:
    """Return what holds the lock of a storage that is a file. Raises ConfigError where another command holds it."""
    file = _file(url)
    if file is None:
        return nullcontext()
    with ExitStack() as stack:
        try:
            stack.enter_context(held(file.with_name(f"{file.name}.lock")))
        except BlockedError as error:
            text = f"{error}, which searches there; wait for it, or choose another storage"
            raise ConfigError([Problem(f"{KEY}.storage", text)]) from error
        except OSError as error:
            raise _no_storage(url, error) from error
        return stack.pop_all()


def _file(url: str) -> Path | None:
    try:
        parsed = make_url(url)
    except SQLAlchemyError as error:
        raise _no_storage(url, error) from error
    if parsed.get_backend_name() != "sqlite" or parsed.database in (None, "", ":memory:"):
        return None
    return Path(parsed.database)


def _opened(url: str) -> BaseStorage:
    try:
        return optuna.storages.get_storage(RDBStorage(url))
    except (SQLAlchemyError, ImportError, RuntimeError, ValueError) as error:
        raise _no_storage(url, error) from error


def _no_storage(url: str, error: Exception) -> ConfigError:
    lines = str(error).splitlines() or [type(error).__name__]
    text = f"given {mask_uri(url)}; can't be opened ({mask_uri(lines[0])}). Allowed: a URL that Optuna takes, such as "
    return ConfigError([Problem(f"{KEY}.storage", f"{text}sqlite:///studies.db, or an SQLite file's path")])
