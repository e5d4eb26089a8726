"""Begins a search: its settings are read, what it needs is there, and Hydra's file of the sweep is written."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from hydra.core.config_loader import ConfigLoader
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, OmegaConf

from pgexp.cli.searching.settings import read_settings
from pgexp.schema.errors import ConfigError, Problem
from pgexp.schema.sweep import parse_settings
from pgexp.storage.hydra_files import mask_hydra_files

if TYPE_CHECKING:
    from pgexp.cli.searching.running import Search


def search(
    config: DictConfig, loader: ConfigLoader, launcher: Launcher, arguments: Sequence[str], words: Sequence[str]
) -> list[Sequence[JobReturn]]:
    """Search as the config says, over what the arguments sweep; return the jobs of each generation.

    `arguments` are the overrides of what is trained, `words` all that the command was called with.
    """
    found = prepared(config, loader, launcher, arguments)

    from pgexp.cli.searching.checking import require_trainable

    require_trainable(found.space, config, loader)
    return carried_out(found, config, words)


def prepared(config: DictConfig, loader: ConfigLoader, launcher: Launcher, arguments: Sequence[str]) -> "Search":
    """Return the search that a command asks for. Raises ConfigError."""
    settings = read_settings(_plain(config.hydra.sweeper))
    sweep = parse_settings({name: _plain(config[name]) for name in ("sweep", "workers")}).sweep
    if find_spec("optuna") is None:
        text = "given optuna; needs the package of that name: pip install 'pgexp[optuna]'"
        raise ConfigError([Problem("hydra/sweeper", text)])

    from pgexp.cli.searching.running import Search
    from pgexp.cli.searching.space import read_space

    space = read_space(arguments, settings.params, loader)
    return Search(settings, sweep, space, launcher, Path(config.hydra.sweep.dir).absolute())


def carried_out(search: "Search", config: DictConfig, words: Sequence[str]) -> list[Sequence[JobReturn]]:
    """Carry a search out, beside Hydra's file of the sweep."""
    search.folder.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(config, search.folder / "multirun.yaml")
    mask_hydra_files(search.folder, config.hydra.output_subdir)
    return search.run(_plain(config, resolve=False), words)


def _plain(config: DictConfig, resolve: bool = True) -> dict[str, Any]:
    return cast(dict[str, Any], OmegaConf.to_container(config, resolve=resolve))
