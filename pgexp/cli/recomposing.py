"""Composes a recorded run's config anew, from what Hydra wrote down of it: the words that a command takes for it."""

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf, open_dict

from pgexp.comparison.store import ComparisonError, opened
from pgexp.schema.config import RunConfig
from pgexp.storage.local_artifacts import local_folder

_CONFIG_DIR = "--config-dir="
_SEARCHED = "hydra.searchpath=["
_GRID = "hydra.sweeper.params=null"  # what an experiment's file lets the grid sweep is not to be swept again


@dataclass(frozen=True)
class Composition:
    """How a run was composed: what the command needs beside its overrides, and these, the seed's included."""

    options: tuple[str, ...]
    overrides: tuple[str, ...]
    is_searched: bool = False  # whether several values of a key would be searched, as an experiment's file has it

    def without(self, keys: Sequence[str]) -> tuple[str, ...]:
        """Return the overrides, but for those of some keys and of what is below them."""
        return tuple(item for item in self.overrides if not _is_of(item, keys))


def recorded_composition(run_id: str, artifacts: str, uri: str) -> Composition:
    """Return how a run was composed, from its artifacts or its own folder. ComparisonError where they do not tell."""
    try:
        settings = _read("hydra.yaml", run_id, artifacts, uri)["hydra"]
        folders = [each["path"] for each in settings["runtime"]["config_sources"] if each["provider"] == "command-line"]
        options = [_CONFIG_DIR + folder for folder in folders]
        options += [item for item in settings["overrides"]["hydra"] if item.startswith(_SEARCHED)]
        is_grid = settings["runtime"]["choices"]["hydra/sweeper"] == "grid"
        is_called = any(item.startswith("hydra/sweeper=") for item in settings["overrides"]["hydra"])
        options += [_GRID] if is_grid and settings["sweeper"].get("params") else []
        overrides = tuple(map(str, settings["overrides"]["task"]))
        return Composition(tuple(options), overrides, is_searched=not is_grid and not is_called)
    except (KeyError, TypeError, AttributeError) as error:
        raise ComparisonError(f"Hydra's files of run {run_id} are damaged: name its configuration yourself") from error


def compose_again(composition: Composition) -> RunConfig:
    """Return the typed config that a composition gives today, where the command is called. Raises ConfigError."""
    from hydra import compose, initialize_config_dir
    from hydra.core.hydra_config import HydraConfig

    from pgexp.cli.config import typed
    from pgexp.cli.errors import explained
    from pgexp.cli.folder import config_folder

    words = [*_search_path(composition.options), *composition.overrides]
    sys.path.insert(0, str(Path.cwd()))  # a user's own modules stand where the command is called
    try:
        with initialize_config_dir(str(config_folder()), version_base="1.3"):
            config = compose("config", overrides=words, return_hydra_config=True)
        HydraConfig.instance().set_config(config)
        choices = dict(config.hydra.runtime.choices)
        OmegaConf.set_readonly(config, False)
        with open_dict(config):
            del config["hydra"]
        return typed(config, choices)
    except Exception as error:  # composing may raise anything
        raise explained(error, words) from error
    finally:
        sys.path.pop(0)


def _search_path(options: Sequence[str]) -> list[str]:
    """Return the search path of a command's options as one override, which is all that composing takes."""
    own = [f"file://{item.removeprefix(_CONFIG_DIR)}" for item in options if item.startswith(_CONFIG_DIR)]
    given = [item.removeprefix(_SEARCHED).removesuffix("]") for item in options if item.startswith(_SEARCHED)]
    return [f"{_SEARCHED}{','.join([*own, *filter(None, given)])}]"] if own or given else []


def _is_of(item: str, keys: Sequence[str]) -> bool:
    name = item.partition("=")[0].lstrip("+~")
    return any(name == key or name.startswith(f"{key}.") for key in keys)


def _read(name: str, run_id: str, artifacts: str, uri: str) -> Any:
    """Return the content of one of Hydra's files of a run."""
    here = local_folder(artifacts)
    text = _local(here, name) if here is not None else _fetched(name, run_id, uri)
    if text is None:
        raise ComparisonError(f"run {run_id} has no {name} of Hydra's, so its command is not known: name it yourself")
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ComparisonError(f"{name} of run {run_id} can't be read: name its configuration yourself") from error


def _local(folder: Path, name: str) -> str | None:
    for path in (folder / "config" / name, folder / ".hydra" / name):  # the store's, and a run's own folder
        if path.is_file():
            return path.read_text(encoding="utf-8")
    return None


def _fetched(name: str, run_id: str, uri: str) -> str | None:
    with opened(uri) as client, tempfile.TemporaryDirectory() as folder:
        if f"config/{name}" not in {artifact.path for artifact in client.list_artifacts(run_id, "config")}:
            return None
        return Path(client.download_artifacts(run_id, f"config/{name}", folder)).read_text(encoding="utf-8")
