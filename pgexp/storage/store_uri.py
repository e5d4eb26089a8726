"""The store's full address, whose password no file of a record holds."""

import os
from typing import Final

from pgexp.schema.errors import ConfigError, Problem
from pgexp.storage.secrets import MASK, mask_uri

URI_VARIABLE: Final = "MLFLOW_TRACKING_URI"


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
