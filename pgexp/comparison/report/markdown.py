"""Tables as Markdown, as GitHub reads it."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from pgexp.comparison.report.cells import TextTable
from pgexp.comparison.report.numbers import MINUS, PAD

SPECIAL: Final = re.compile(r"([\\`*_{}<>|$~#&])")


def markdown(tables: Sequence[TextTable], command: str = "") -> str:
    """Return the tables one below the other, each with its notes, and the command that made them."""
    made = [f"Made by `{command}`"] if command else []
    return "\n\n".join([*map(_table, tables), *made]) + "\n"


def escaped(text: str) -> str:
    """Return text whose signs stand for themselves, in a table's cell, too; padding goes, and a minus is typed."""
    return SPECIAL.sub(r"\\\1", " ".join(text.replace(PAD, "").replace(MINUS, "-").split()))


def _table(table: TextTable) -> str:
    rules = [":--" if heading in table.names else "--:" for heading in table.columns]
    lines = [_line(map(escaped, table.columns)), _line(rules), *(_line(map(escaped, row)) for row in table.rows)]
    notes = [f"\n{escaped(note)}" for note in table.notes]
    return "\n".join([f"### {escaped(table.title)}\n", *lines, *notes])


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
