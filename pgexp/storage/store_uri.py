"""The store's full address, whose password no file of a record holds."""

import os
from pathlib import Path
from typing import Final

from pgexp.schema.errors import ConfigError, Problem
from pgexp.storage.secrets import MASK, mask_uri

URI_VARIABLE: Final = "MLFLOW_TRACKING_URI"

_SQLITE = "sqlite:///"


def full_uri(recorded: str) -> str:
    """Return a recorded address with its password, which the environment gives as MLFLOW_TRACKING_URI.

    Raises ConfigError where that is not set, or names another store.
    """
    if MASK not in recorded:
        return recorded
    given = os.environ.get(URI_VARIABLE, "")
    if mask_uri(given) == recorded:
        return given
    found = f"{URI_VARIABLE} names {mask_uri(given)}" if given else f"{URI_VARIABLE} is not set"
    text = f"the password of {recorded} is recorded nowhere, and {found}; set it to that address, password included"
    raise ConfigError([Problem("tracking.uri", text)])


def absolute_uri(uri: str) -> str:
    """Return a store's address, a database file's path taken from the working directory."""
    return _SQLITE + str(Path.cwd() / uri.removeprefix(_SQLITE)) if uri.startswith(_SQLITE) else uri
