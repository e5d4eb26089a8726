"""What configurations are called in a figure: only what tells them apart there."""

import re
from collections.abc import Iterable, Mapping
from textwrap import shorten, wrap
from typing import Final, NamedTuple

import pandas as pd

BETWEEN: Final = re.compile(r"\s+(?=[^\s=]+=)")  # values may hold spaces, keys do not
LINES: Final = 3  # of a name, before it is cut


class Naming(NamedTuple):
    """The labels of a figure's configurations by their names, and what the labels have in common."""

    labels: Mapping[str, str]
    title: str

    def of(self, frame: pd.DataFrame) -> "pd.Series[str]":
        """Return the label of each row of a frame."""
        return frame["configuration_name"].astype(str).map(self.labels)


def split(frame: pd.DataFrame, column: str) -> list[tuple[str, pd.DataFrame]]:
    """Return the rows of each different text in a column, in the order in which they come; ValueError for no rows."""
    _check(frame)
    return [(str(text), rows) for text, rows in frame.groupby(column, sort=False, observed=True)]


def naming(frame: pd.DataFrame) -> Naming:
    """Return the labels of a frame's configurations (columns environment and configuration_name).

    A name is read as ``key=value key=value``. Left out is a key whose value is the same for all, or for all of
    each environment: the panel's title tells the environment. Where the rest have the same keys, these are
    said once, in the title, and the labels are the values. So a configuration has one label, hence one
    colour, in all environments. Names of another form, and labels that would not tell apart, stay whole.
    ValueError for a frame without rows.
    """
    _check(frame)
    pairs = frame[["environment", "configuration_name"]].astype(str).drop_duplicates()
    names = list(dict.fromkeys(pairs["configuration_name"]))
    read = {name: _pairs(name) for name in names}
    if len(names) == 1 or not all(read.values()):
        return Naming({name: name for name in names}, "")
    known = pd.DataFrame([read[name] for name in pairs["configuration_name"]], index=pairs["environment"])
    telling = [str(key) for key in known if _tells(known[key])]
    kept = {name: {key: value for key, value in read[name].items() if key in telling} for name in names}
    return _named(kept, pairs)


def wrapped(text: str, characters: int) -> str:
    """Return a label in lines of at most so many characters; what is beyond the third line is cut, with an ellipsis."""
    lines = wrap(text, characters, break_on_hyphens=False)
    if len(lines) <= LINES:
        return "\n".join(lines)
    last = shorten(" ".join(lines[LINES - 1 :]), characters, placeholder="…")
    return "\n".join([*lines[: LINES - 1], last if last != "…" else lines[LINES - 1][: characters - 1] + "…"])


def _check(frame: pd.DataFrame) -> None:
    if frame.empty:
        raise ValueError("a frame without rows makes no figure")


def _pairs(name: str) -> dict[str, str]:
    """Return the keys and values of a name, or nothing where it has another form."""
    tokens = BETWEEN.split(name)
    return dict(token.split("=", 1) for token in tokens) if all("=" in token for token in tokens) else {}


def _tells(values: "pd.Series[str]") -> bool:
    """Return whether the values (index: environment) differ within an environment."""
    return bool((values.fillna("").groupby(level=0).nunique() > 1).any())


def _named(kept: Mapping[str, Mapping[str, str]], pairs: pd.DataFrame) -> Naming:
    keys = {tuple(pairs_of) for pairs_of in kept.values()}
    if len(keys) == 1 and keys != {()}:
        labels = {name: ", ".join(pairs_of.values()) for name, pairs_of in kept.items()}
        return Naming(labels, ", ".join(next(iter(keys))))
    labels = {name: " ".join(map("=".join, pairs_of.items())) or name for name, pairs_of in kept.items()}
    called = pairs.assign(label=pairs["configuration_name"].map(labels))
    if called.duplicated(["environment", "label"]).any():
        return Naming({name: name for name in kept}, "")
    return Naming(labels, "")


def longest(labels: Iterable[str]) -> int:
    """Return the characters of the longest line of the labels."""
    return max((len(line) for label in labels for line in label.split("\n")), default=0)
