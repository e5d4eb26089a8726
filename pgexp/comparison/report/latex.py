"""Tables as LaTeX, for the packages booktabs and nothing else."""

import re
from collections.abc import Sequence
from typing import Final

import pandas as pd

from pgexp.comparison.report.cells import TextTable
from pgexp.comparison.report.numbers import ABSENT, MINUS, PAD

SIGNS: Final = str.maketrans(
    {
        **{sign: rf"\{sign}" for sign in "&%$#_{}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        '"': r"\textquotedbl{}",
        "\n": " ",
        "\N{NO-BREAK SPACE}": "~",
        "\N{INFINITY}": r"$\infty$",
        PAD: r"\phantom{0}",
        MINUS: "$-$",
        ABSENT: "--",
    }
)
SMALL: Final = r"\footnotesize\setlength{\tabcolsep}{3pt}"  # which fits two columns of a paper


def latex(tables: Sequence[TextTable], name: str, command: str = "") -> str:
    r"""Return the tables as LaTeX: ``\input`` the file in a document that uses booktabs and T1 fonts.

    Each is a float with a caption, which says what its intervals are, and the label tab:name-environment.
    """
    heading = ["% Needs \\usepackage[T1]{fontenc} and \\usepackage{booktabs}."]
    heading += [f"% Made by {' '.join(command.split())}"] if command else []
    return "\n".join([*heading, *(_float(table, name) for table in tables)])


def escaped(text: str) -> str:
    """Return text whose signs stand for themselves."""
    return text.translate(SIGNS)


def _float(table: TextTable, name: str) -> str:
    headings = [escaped(heading) for heading in table.columns]
    cells = pd.DataFrame([[escaped(cell) for cell in row] for row in table.rows], columns=headings)
    text = cells.style.hide(axis="index").to_latex(
        column_format="".join("l" if heading in table.names else "r" for heading in table.columns),
        hrules=True,
        position="t",
        position_float="centering",
        caption=escaped(" ".join([f"{table.title}.", *table.notes])),
        label=f"tab:{name}-{_slug(table.title.rpartition(' on ')[2])}",
    )
    return str(text).replace("\\centering\n", f"\\centering\n{SMALL}\n", 1)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
