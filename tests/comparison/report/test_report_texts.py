"""Tables as Markdown and LaTeX."""

import re

import pytest

from pgexp.comparison.report import latex, markdown
from pgexp.comparison.report.cells import TextTable
from pgexp.comparison.report.numbers import MINUS, PAD

TABLE = TextTable(
    "Final return on Cart_Pole-v1",
    {
        "configuration": ["a|b <c>", "d_e"],
        "n": ["3", "12"],
        "IQM [95\N{NO-BREAK SPACE}%]": [f"{MINUS}1.5 [{PAD}2, 3]", "4"],
    },
    ("configuration",),
    ["Interval: Student's t & co."],
)


def test_markdown_is_written_as_github_reads_it() -> None:
    assert markdown.markdown([TABLE], "pgexp-compare s --report").splitlines() == [
        r"### Final return on Cart\_Pole-v1",
        "",
        "| configuration | n | IQM [95 %] |",
        "| :-- | --: | --: |",
        r"| a\|b \<c\> | 3 | -1.5 [2, 3] |",
        r"| d\_e | 12 | 4 |",
        "",
        r"Interval: Student's t \& co.",
        "",
        "Made by `pgexp-compare s --report`",
    ]


def test_markdown_tables_stand_apart() -> None:
    assert markdown.markdown([TABLE, TABLE]).count("\n\n### ") == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a_b & 50% #1 {x} $y$", r"a\_b \& 50\% \#1 \{x\} \$y\$"),
        ("\\w ~^", r"\textbackslash{}w \textasciitilde{}\textasciicircum{}"),
        ("<a|\">", r"\textless{}a\textbar{}\textquotedbl{}\textgreater{}"),
        (f"{MINUS}1 [{PAD}2]", r"$-$1 [\phantom{0}2]"),
    ],
)  # fmt: skip
def test_latex_signs_stand_for_themselves(text: str, expected: str) -> None:
    assert latex.escaped(text) == expected


def test_a_latex_table_is_a_float_with_rules_caption_and_label() -> None:
    text = latex.latex([TABLE], "summary", "pgexp-compare s\n--report")
    assert text.splitlines()[:2] == [
        r"% Needs \usepackage[T1]{fontenc} and \usepackage{booktabs}.",
        "% Made by pgexp-compare s --report",
    ]
    assert [line for line in text.splitlines()[2:] if line] == [
        r"\begin{table}[t]",
        r"\centering",
        r"\footnotesize\setlength{\tabcolsep}{3pt}",
        r"\caption{Final return on Cart\_Pole-v1. Interval: Student's t \& co.}",
        r"\label{tab:summary-cart-pole-v1}",
        r"\begin{tabular}{lrr}",
        r"\toprule",
        r"configuration & n & IQM [95~\%] \\",
        r"\midrule",
        r"a\textbar{}b \textless{}c\textgreater{} & 3 & $-$1.5 [\phantom{0}2, 3] \\",
        r"d\_e & 12 & 4 \\",
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]


def test_two_environments_are_two_floats_with_labels_of_their_own() -> None:
    other = TextTable("Final return on Acrobot-v1", TABLE.columns, TABLE.names)
    labels = re.findall(r"\\label\{(.*?)\}", latex.latex([TABLE, other], "summary"))
    assert labels == ["tab:summary-cart-pole-v1", "tab:summary-acrobot-v1"]
