"""Reads the `key=value` words of a command, typed and checked."""

from collections.abc import Sequence
from typing import TypeVar

from pgexp.schema.check import check
from pgexp.schema.config import parameters_of
from pgexp.schema.errors import ConfigError, Problem

Kind = TypeVar("Kind")
_VALUES = {"true": True, "false": False, "null": None}


def read_words(words: Sequence[str], kind: type[Kind]) -> Kind:
    """Return what words say, as the dataclass that knows them. Raises ConfigError, which names every mistake."""
    pairs, problems = _pairs(words)
    values, wrong = check(pairs, parameters_of(kind))
    if problems or wrong:
        raise ConfigError([*problems, *wrong])
    return kind(**values)


def read_pairs(words: Sequence[str]) -> dict[str, object]:
    """Return what words set, by their keys. Raises ConfigError."""
    pairs, problems = _pairs(words)
    if problems:
        raise ConfigError(problems)
    return pairs


def _pairs(words: Sequence[str]) -> tuple[dict[str, object], list[Problem]]:
    problems = [Problem(word, "can't be read as key=value") for word in words if "=" not in word]
    pairs = [(key, _value(text)) for key, found, text in (word.partition("=") for word in words) if found]
    twice = {key for key, _ in pairs if [name for name, _ in pairs].count(key) > 1}
    return dict(pairs), problems + [Problem(key, "is given twice") for key in sorted(twice)]


def _value(text: str) -> object:
    if text.lower() in _VALUES:
        return _VALUES[text.lower()]
    try:
        return int(text)
    except ValueError:
        return text
