"""Finds a registered model's version by what a user calls it."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import shorten

from pgexp.schema.errors import ConfigError, Problem
from pgexp.schema.names import POLICY_FOLDER
from pgexp.storage.finding import FoundRun
from pgexp.storage.secrets import mask_uri

_VERSION = re.compile(r"(?:models:/)?([^/:@]+)(?:/(\d+)|@([^/:@]+))")


def names_version(name: str) -> bool:
    """Return whether it is a registered model's version: name/3 or name@alias, with or without models:/ before it."""
    return name.startswith("models:/") or (_VERSION.fullmatch(name) is not None and not Path(name).exists())


@contextmanager
def found_version(name: str, uri: str) -> Iterator[FoundRun]:
    """Yield the run that a registered model's version in the store at `uri` is of, with a passing copy of its policy.

    Raises ConfigError where there is no such version, or it is no policy of pgexp's.
    """
    parts = _VERSION.fullmatch(name)
    if parts is None:
        text = f"given {name!r}; a registered model's version is models:/name/3, or models:/name@alias"
        raise ConfigError([Problem("run", text)])
    model, number, alias = parts.groups()
    from mlflow.artifacts import download_artifacts

    from pgexp.storage.mlflow_client import MlflowException, connect  # takes seconds

    with tempfile.TemporaryDirectory(prefix="pgexp-") as copy:
        try:
            client = connect(uri)
            number = client.get_model_version_by_alias(model, alias).version if alias else number
            version = client.get_model_version(model, number)
            source = client.get_model_version_download_uri(model, number)  # models:/... is of MLflow's default store
            folder = Path(download_artifacts(source, dst_path=copy, tracking_uri=uri), "data")
        except (MlflowException, OSError) as error:
            reason = shorten(str(error), 160, placeholder=" ...")
            raise ConfigError([Problem("run", f"{name} can't be read from {mask_uri(uri)}: {reason}")]) from error
        if not (folder / POLICY_FOLDER).is_dir():
            raise ConfigError([Problem("run", f"{name} is no model that pgexp logged: it holds no {POLICY_FOLDER}")])
        yield FoundRun(folder, version.run_id, copied=True)
