"""Composes a sweep's jobs; those that choose the same options share one composition, and differ by their values."""

import pickle
import re
from collections.abc import Hashable, Sequence
from contextlib import suppress
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

_OF_HYDRA = re.compile(r"hydra\b")
_LOOKS = (OverrideType.ADD, OverrideType.DEL)  # what there is decides what these do


class Composer:
    """Composes a job as Hydra's `load_sweep_config` does, which takes a twentieth of a second for each.

    Its time goes into finding and merging the files of the chosen options. Here that is done once for each choice of
    them; on a copy Hydra's own function then sets the job's values. What is not plainly a value is left to Hydra, and
    so is what goes wrong, which Hydra tells in its own words.
    """

    def __init__(self, loader: ConfigLoader, master: DictConfig) -> None:
        self._loader = loader
        self._master = master
        self._parser = OverridesParser.create()
        self._parsed: dict[str, Override] = {}
        self._values: dict[Hashable, bool] = {}  # whether an override of that kind sets a value, or chooses an option
        self._compositions: dict[tuple[str, ...], bytes] = {}  # by what chooses their options; pickled, to be copied

    def compose(self, lines: Sequence[str], number: int) -> DictConfig:
        """Return the config of the job that has these overrides and this number, Hydra's own part included."""
        config = self._shared(lines)
        if config is None:
            config = self._loader.load_sweep_config(self._master, list(lines))
        with open_dict(config):
            config.hydra.job.id = config.hydra.job.num = number
        return config

    def _shared(self, lines: Sequence[str]) -> DictConfig | None:
        """Return a job's config made of the composition that it shares with others, or None where Hydra has to."""
        with suppress(Exception):  # Hydra tells what it is
            overrides = [self._parse(line) for line in lines]
            if any(each.is_sweep_override() or _OF_HYDRA.match(each.key_or_group) for each in overrides):
                return None
            if any(_kind(each) not in self._values for each in overrides):
                self._learn(lines, overrides)
            values = [each for each in overrides if self._values[_kind(each)]]
            chosen = tuple(line for line, each in zip(lines, overrides, strict=True) if not self._values[_kind(each)])
            config = self._composition(chosen)
            if all(_set(config, value) for value in values):
                return self._named(config, lines, overrides)
        return None

    def _parse(self, line: str) -> Override:
        if line not in self._parsed:
            self._parsed[line] = self._parser.parse_override(line)
        return self._parsed[line]

    def _learn(self, lines: Sequence[str], overrides: Sequence[Override]) -> None:
        """Ask Hydra which of a job's overrides set values."""
        name, every = self._master.hydra.job.config_name, [*self._master.hydra.overrides.hydra, *lines]
        values = self._loader.compute_defaults_list(name, every, RunMode.RUN).config_overrides
        found = {each.input_line for each in values}
        self._values |= {_kind(each): each.input_line in found for each in overrides}

    def _composition(self, chosen: tuple[str, ...]) -> DictConfig:
        """Return a copy of what Hydra composes of these choices, without their names."""
        if chosen not in self._compositions:
            config = self._loader.load_sweep_config(self._master, list(chosen))
            config.hydra.overrides.task.clear()
            self._compositions[chosen] = pickle.dumps(config)
        copy = pickle.loads(self._compositions[chosen])
        assert isinstance(copy, DictConfig)
        return copy

    def _named(self, config: DictConfig, lines: Sequence[str], overrides: Sequence[Override]) -> DictConfig:
        config.hydra.overrides.task.extend(lines)
        job = config.hydra.job
        named = job.config.override_dirname
        job.override_dirname = get_overrides_dirname(
            overrides=list(overrides), kv_sep=named.kv_sep, item_sep=named.item_sep, exclude_keys=named.exclude_keys
        )
        return config


def _kind(override: Override) -> Hashable:
    """Return all of an override that decides whether it sets a value."""
    return override.get_key_element(), isinstance(override.value(), dict)


def _set(config: DictConfig, override: Override) -> bool:
    """Apply an override as Hydra does; return whether it was applied.

    It is not where that would resolve an interpolation: Hydra sets some of what it may refer to only afterwards.
    """
    if "[" in override.key_or_group:
        return False
    *above, last = override.key_or_group.split(".")
    section = config
    for name in above:
        if not _is_open(section, name):
            return False
        section = section[name]
    is_read = override.type in _LOOKS or isinstance(override.value(), dict | list)
    if not isinstance(section, DictConfig) or (is_read and not _is_open(section, last)):
        return False
    ConfigLoaderImpl._apply_overrides_to_config([override], config)
    return True


def _is_open(section: Any, name: str) -> bool:
    """Return whether what stands under a name in a config's section, if anything does, is no interpolation."""
    return isinstance(section, DictConfig) and not (name in [*section] and OmegaConf.is_interpolation(section, name))
