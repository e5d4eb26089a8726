"""Refuses config files that are small and grow without end when they are read: aliases of aliases of aliases."""

from collections.abc import Iterator
from pathlib import Path

import yaml

from pgexp.schema.errors import ConfigError, Problem

_MOST = 100_000  # values that a file may come to; each alias is a copy of what it names


def require_bounded(folder: Path) -> None:
    """Raise ConfigError where one of a folder's YAML files comes to too many values."""
    for path in sorted(folder.rglob("*.yaml")):
        if path.is_file() and _values(path) > _MOST:
            text = f"its aliases come to more than {_MOST:,} values, or to themselves; write it without them"
            raise ConfigError([Problem(str(path), text)])


def _values(path: Path) -> int:
    """Return how many values a file comes to; 0 where it has no alias, or is none that Hydra can read."""
    try:
        text = path.read_text(encoding="utf-8")
        return _size(yaml.compose(text, yaml.SafeLoader), {}) if "&" in text and "*" in text else 0
    except (OSError, ValueError, yaml.YAMLError):
        return 0
    except RecursionError:
        return _MOST + 1


def _size(node: yaml.Node | None, known: dict[int, int]) -> int:
    if id(node) not in known:
        known[id(node)] = _MOST  # if it is within itself
        known[id(node)] = 1 + sum(_size(inner, known) for inner in _inner(node))
    return known[id(node)]


def _inner(node: yaml.Node | None) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.SequenceNode):
        yield from node.value
    elif isinstance(node, yaml.MappingNode):
        yield from (inner for pair in node.value for inner in pair)
