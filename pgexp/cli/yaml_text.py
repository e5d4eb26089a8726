"""Configs as the text that OmegaConf makes of them: of many that are mostly alike, only what differs is made anew."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from omegaconf._utils import get_omega_conf_dumper

_PLAIN_KEY = re.compile(r"[A-Za-z_]\w{,63}")  # takes one line by itself, if what is below it is no value


def dumped(config: Any) -> str:
    """Return what `OmegaConf.to_yaml` returns, without making a config of its own first, which takes as long again."""
    return yaml.dump(
        config, default_flow_style=False, allow_unicode=True, sort_keys=False, Dumper=get_omega_conf_dumper()
    )


class YamlText:
    """Makes the text of one config after another.

    In YAML's block style a mapping's text is that of its entries, one after another, and how an entry is written
    depends on its depth alone. So an entry that is what it was in the config before is the text that it was.
    """

    def __init__(self) -> None:
        self._entries: dict[tuple[str, ...], tuple[str, str]] = {}  # by their path: what they are, and their text

    def text(self, config: Mapping[str, Any]) -> str:
        """Return what `OmegaConf.to_yaml` makes of a config; here it is plain mappings, lists and values."""
        return "".join(self._lines(config, ())) if config else dumped(config)

    def _lines(self, section: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
        for key, value in section.items():
            if isinstance(value, Mapping) and value and _is_plain(key):
                yield self._entry((*path, key), None).partition(":")[0] + ":\n"
                yield from self._lines(value, (*path, key))
            else:
                yield self._entry((*path, key), value)

    def _entry(self, path: tuple[str, ...], value: Any) -> str:
        written = repr((path[-1], value))  # a key may equal another, as 1 does True
        known, text = self._entries.get(path, ("", ""))
        if known != written:
            text = _below(path, value)
            self._entries[path] = (written, text)
        return text


def _is_plain(key: Any) -> bool:
    return isinstance(key, str) and _PLAIN_KEY.fullmatch(key) is not None


def _below(path: tuple[str, ...], value: Any) -> str:
    """Return the lines of the entry at a path, whose keys are each a line by themselves."""
    *above, key = path
    nested: Any = {key: value}
    for name in reversed(above):
        nested = {name: nested}
    return dumped(nested).split("\n", len(above))[-1]
