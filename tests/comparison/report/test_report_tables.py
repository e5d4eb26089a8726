"""Tables of a report, and their Markdown and LaTeX."""

import math
import re

import numpy as np
import pandas as pd
import pytest

from pgexp.comparison import across_environments
from pgexp.comparison.report.tables import (
    ABSENT,
    INTERVAL,
    MINUS,
    PAD,
    TextTable,
    difference_tables,
    environments_table,
    escape_latex,
    further_tables,
    latex,
    markdown,
    probability,
    run_table,
    summary_tables,
    typeset,
    typeset_in_text,
    with_intervals,
)
from pgexp.schema.names import FINAL_RETURN
from tests.comparison.report.report_inputs import (
    MEAN,
    NONE,
    PAIR,
    SCORES,
    difference_row,
    differing,
    framed,
    run_rows,
    summaries,
    summary_row,
)


@pytest.mark.parametrize(
    ("value", "places", "expected"),
    [
        (1234.56, 1, "1,234.6"),
        (-2.5, 2, f"{MINUS}2.50"),
        (-0.001, 1, "0.0"),
        (math.nan, 1, "\N{EN DASH}"),
        (-math.inf, 1, f"{MINUS}\N{INFINITY}"),
    ],
)
def test_typeset(value: float, places: int, expected: str) -> None:
    assert typeset(value, places) == expected


def test_intervals_are_aligned() -> None:
    cells = with_intervals([99.2, -1, 3], [60, -10.5, math.nan], [140, 2, math.nan], 1)
    assert cells == [
        f"99.2 [{PAD}60.0, 140.0]",
        f"{MINUS}1.0 [{MINUS}10.5, {PAD * 2}2.0]",
        f"3.0{PAD * 14}",
    ]  # the last is padded to the width of the others
    assert len({len(cell.partition(" ")[2]) for cell in cells[:2]}) == 1


def test_cells_without_intervals_are_not_padded() -> None:
    assert with_intervals([1.0, 2.0], [math.nan] * 2, [math.nan] * 2, 0) == ["1", "2"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0625, ".0625"), (0.00004, "<.0001"), (1.0, "1.0000"), (0.99999, "1.0000"), (math.nan, "\N{EN DASH}")],
)
def test_probability(value: float, expected: str) -> None:
    assert probability(value) == expected


def test_typeset_in_text() -> None:
    assert [typeset_in_text(value) for value in (137.64, -0.5, 20_000)] == ["137.6", f"{MINUS}0.5000", "20,000"]


def test_cells_of_a_summary() -> None:
    (table,) = summary_tables(summaries(NONE, MEAN))
    assert table.title == "Final return on CartPole-v1"
    assert table.columns == {
        "configuration": ["baseline=none", "baseline=mean"],
        "n": ["3", "3"],
        f"IQM {INTERVAL}": [f"99.2 [{PAD}60.0, 140.5]", "238.0 [170.0, 305.0]"],
        "mean": ["101.6", "237.2"],
        "min": ["88.0", "210.0"],
        "max": ["120.2", "260.5"],
        "failed": ["0", "0"],
        "collapsed": ["0", "0"],
    }
    assert table.notes == ["Interval of the IQM: trimmed-mean t.", "Interval of the mean: Student's t."]


def test_each_environment_has_a_table() -> None:
    tables = summary_tables(summaries(NONE, summary_row("baseline=none", "Pendulum-v1", iqm=-1203.4, mean=-1200.0)))
    assert [table.title for table in tables] == ["Final return on CartPole-v1", "Final return on Pendulum-v1"]
    assert tables[1].columns["IQM"] == ["\N{MINUS SIGN}1,203"]


def test_cells_of_steps_to_a_threshold() -> None:
    given = {"threshold": 475.0, "followed": 3, "last_steps": 20_000.0}
    ends = {"steps_to_threshold_low": 9_000.0, "steps_to_threshold_high": np.nan}
    fast = NONE | given | ends | {"steps_to_threshold": 12_500.0, "reached": 2}
    slow = MEAN | given | {"reached": 1}
    (table,) = summary_tables(summaries(fast, slow))
    assert table.columns[f"steps to 475 {INTERVAL}"] == [f"12.5k [9k, {ABSENT}]", ">20k"]
    assert table.columns["reached"] == ["2/3", "1/3"]


def test_caveats_are_notes() -> None:
    (table,) = summary_tables(summaries(NONE | {"caveat": "Skewed."}, MEAN))
    assert table.notes[-1] == "baseline=none: Skewed."


def test_further_estimates() -> None:
    assert further_tables(summaries(NONE, MEAN)) == []
    known = {"median": 96.5, "median_low": 88.0, "median_high": 120.25, "tolerance_low": 88.0, "tolerance_high": 120.25}
    share = {
        "tolerance_confidence": 0.028,
        "failed_share": 0.25,
        "failed_share_low": 0.0063,
        "failed_share_high": 0.8059,
    }
    (table,) = further_tables(summaries(NONE | known | share, MEAN))
    assert table.columns == {
        "configuration": ["baseline=none", "baseline=mean"],
        f"median {INTERVAL}": ["96.5 [88.0, 120.2]", ABSENT + PAD * 13],
        "tolerance interval": ["[88.0, 120.2] at 3 %", ABSENT],
        f"share failed or collapsed {INTERVAL}": ["0.25 [0.01, 0.81]", ABSENT + PAD * 12],
    }


def test_cells_of_differences() -> None:
    known = {"p_permutation": 0.25, "effect_size": 3.456, "improvement": 1.0, "improvement_low": 0.6}
    (table,) = difference_tables(differing(PAIR | known | {"improvement_high": 1.0}))
    assert table.columns == {
        "configuration": ["baseline=mean"],
        "minus": ["baseline=none"],
        "n": ["3 pairs"],
        f"difference {INTERVAL}": ["135.6 [95.0, 176.2]"],
        "p": [".0050"],
        "p (Holm)": [".0050"],
        "p (permutation)": [".2500"],
        "effect size": ["3.46"],
        f"P(higher) {INTERVAL}": ["1.00 [0.60, 1.00]"],
    }
    assert table.notes[0] == "Difference of the means; p: paired t test."


def test_unpaired_differences() -> None:
    row = difference_row("b", "a", n=3, n_reference=5, paired=False, family=3, difference=1.0, p=0.2, p_holm=0.6)
    (table,) = difference_tables(differing(row))
    assert table.columns["n"] == ["3, 5"]
    assert "p (Holm): corrected for 3 tests." in table.notes


def test_differences_of_single_seeds_have_no_tests() -> None:
    row = difference_row("b", "a", n=1, n_reference=1, test="", difference=1.0)
    (table,) = difference_tables(differing(row))
    assert list(table.columns) == ["configuration", "minus", "n", "difference"]


def test_table_across_environments() -> None:
    assert environments_table(framed([], across_environments.COLUMNS)) == []
    scores = dict.fromkeys(("mean", "median", "iqm", "optimality_gap"), 0.5)
    ends = {f"{name}_low": 0.25 for name in scores} | {f"{name}_high": 0.75 for name in scores}
    row = {"configuration_name": "a", "environments": 2, "n": 6, "method": "stratified bootstrap"} | scores | ends
    (table,) = environments_table(framed([row], across_environments.COLUMNS))
    assert table.columns[f"optimality gap {INTERVAL}"] == ["0.5000 [0.2500, 0.7500]"]
    assert table.notes == ["Intervals: stratified bootstrap."]


@pytest.mark.parametrize(("exclusion", "expected"), [("", "yes"), ("still running", "no: still running")])
def test_run_table_shows_what_counts(exclusion: str, expected: str) -> None:
    table = run_table(pd.DataFrame(run_rows({"a": [1.0]}, exclusion=exclusion)), FINAL_RETURN)
    assert table.rows == [("a", "0", "1.000", "finished", expected, "a/CartPole-v1/0", "0abc")]


def test_run_table_of_several_environments() -> None:
    rows = [*run_rows(SCORES), *run_rows(SCORES, "Acrobot-v1")]
    assert (
        run_table(pd.DataFrame(rows), FINAL_RETURN).columns["environment"] == ["CartPole-v1"] * 6 + ["Acrobot-v1"] * 6
    )


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


def test_markdown() -> None:
    assert markdown([TABLE], "pgexp-compare s --report").splitlines() == [
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


def test_markdown_of_several_tables() -> None:
    assert markdown([TABLE, TABLE]).count("\n\n### ") == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a_b & 50% #1 {x} $y$", r"a\_b \& 50\% \#1 \{x\} \$y\$"),
        ("\\w ~^", r"\textbackslash{}w \textasciitilde{}\textasciicircum{}"),
        ("<a|\">", r"\textless{}a\textbar{}\textquotedbl{}\textgreater{}"),
        (f"{MINUS}1 [{PAD}2]", r"$-$1 [\phantom{0}2]"),
    ],
)  # fmt: skip
def test_escape_latex(text: str, expected: str) -> None:
    assert escape_latex(text) == expected


def test_latex() -> None:
    text = latex([TABLE], "summary", "pgexp-compare s\n--report")
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


def test_latex_labels_are_unique() -> None:
    other = TextTable("Final return on Acrobot-v1", TABLE.columns, TABLE.names)
    labels = re.findall(r"\\label\{(.*?)\}", latex([TABLE, other], "summary"))
    assert labels == ["tab:summary-cart-pole-v1", "tab:summary-acrobot-v1"]
