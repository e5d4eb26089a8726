"""The commands that train chosen configurations on fresh seeds, and nothing else.

A command sweeps a grid of values. Configurations that make no grid together take one command each.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Final

from hydra.core.override_parser.types import Quote, QuotedString

from pgexp.cli.recomposing import Composition

_OF_THE_SWEEP: Final = ("seed", "sweep.selected_from", "sweep.rerun", "sweep.dry_run")
_PLAIN: Final = re.compile(r"[\w./:+-]+")


@dataclass(frozen=True)
class Grid:
    """What a command trains: what it needs beside its overrides, and each override's key with its values."""

    options: tuple[str, ...]
    values: tuple[tuple[str, tuple[str, ...]], ...]  # a key with what stands before it, and its "=" where it has one
    is_searched: bool

    @property
    def words(self) -> list[str]:
        """Return the command's words that say so."""
        return [*self.options, *(key + ",".join(texts) for key, texts in self.values)]


def grid_of(composition: Composition, moved: dict[str, str]) -> Grid:
    """Return the command of one recorded run, without its seed; `moved` are texts that some keys have instead."""
    items = composition.without((*_OF_THE_SWEEP, *moved))
    parts = [item.partition("=") for item in (*items, *(f"{key}={quoted(text)}" for key, text in moved.items()))]
    values = tuple((key + sign, (value,)) for key, sign, value in parts)
    return Grid(composition.options, values, composition.is_searched)


def joined(grids: Sequence[Grid]) -> list[Grid]:
    """Return grids that hold the same configurations: two that differ in the values of a single key become one.

    Those that a search would take for what it may choose among stay apart.
    """
    left = list(dict.fromkeys(grids))
    while found := next(_pairs(left), None):
        first, second, both = found
        left = [both if grid is first else grid for grid in left if grid is not second]
    return left


def command(grid: Grid, seeds: range, origin: str, folder: Path) -> list[str]:
    """Return the words, after ``pgexp``, of the sweep that trains a grid on seeds, and says which one chose it."""
    said = [f"sweep.selected_from={quoted(origin)}"] if origin else []
    fresh = f"seed=range({seeds.start},{seeds.stop})"
    return ["-m", *grid.words, fresh, *said, f"hydra.sweep.dir={quoted(str(folder))}"]


def quoted(text: str) -> str:
    """Return a text as the value of an override."""
    return text if _PLAIN.fullmatch(text) else QuotedString(text, Quote.single).with_quotes()


def _pairs(grids: Sequence[Grid]) -> Iterator[tuple[Grid, Grid, Grid]]:
    """Yield each two grids that are one, and that one."""
    for first, second in combinations(grids, 2):
        keys = [[key for key, _ in grid.values] for grid in (first, second)]
        if first.options != second.options or keys[0] != keys[1] or first.is_searched or second.is_searched:
            continue
        both = enumerate(zip(first.values, second.values, strict=True))
        differing = [place for place, (one, other) in both if {*one[1]} != {*other[1]}]
        if len(differing) == 1:
            yield first, second, _with_values(first, second, differing[0])


def _with_values(first: Grid, second: Grid, place: int) -> Grid:
    key, texts = first.values[place]
    more = (key, tuple(dict.fromkeys((*texts, *second.values[place][1]))))
    return replace(first, values=(*first.values[:place], more, *first.values[place + 1 :]))
