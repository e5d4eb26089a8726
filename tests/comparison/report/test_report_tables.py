import numpy as np
import pandas as pd
import pytest

from pgexp.comparison import tasks
from pgexp.comparison.report.numbers import ABSENT, PAD
from pgexp.comparison.report.tables import (
    difference_tables,
    further_tables,
    run_table,
    summary_tables,
    task_tables,
)
from pgexp.schema.names import FINAL_RETURN
from tests.comparison.report.made import (
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

INTERVAL = "[95\N{NO-BREAK SPACE}%]"


def test_a_summary_s_cells_are_its_numbers() -> None:
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


def test_each_environment_has_a_table_of_its_own() -> None:
    tables = summary_tables(summaries(NONE, summary_row("baseline=none", "Pendulum-v1", iqm=-1203.4, mean=-1200.0)))
    assert [table.title for table in tables] == ["Final return on CartPole-v1", "Final return on Pendulum-v1"]
    assert tables[1].columns["IQM"] == ["\N{MINUS SIGN}1,203"]


def test_steps_to_a_threshold_say_where_fewer_than_half_came_to_it() -> None:
    given = {"threshold": 475.0, "watched": 3, "last_steps": 20_000.0}
    ends = {"steps_to_threshold_low": 9_000.0, "steps_to_threshold_high": np.nan}
    fast = NONE | given | ends | {"steps_to_threshold": 12_500.0, "reached": 2}
    slow = MEAN | given | {"reached": 1}
    (table,) = summary_tables(summaries(fast, slow))
    assert table.columns[f"steps to 475 {INTERVAL}"] == [f"12.5k [9k, {ABSENT}]", ">20k"]
    assert table.columns["reached"] == ["2/3", "1/3"]


def test_a_caveat_is_a_note() -> None:
    (table,) = summary_tables(summaries(NONE | {"caveat": "Skewed."}, MEAN))
    assert table.notes[-1] == "baseline=none: Skewed."


def test_further_estimates_are_those_that_are_there() -> None:
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


def test_a_difference_s_cells_are_its_numbers() -> None:
    known = {"p_permutation": 0.25, "effect_size": 3.456, "improvement": 1.0, "improvement_low": 0.6}
    (table,) = difference_tables(differing(PAIR | known | {"improvement_high": 1.0}))
    assert table.columns == {
        "configuration": ["baseline=mean"],
        "less": ["baseline=none"],
        "n": ["3 pairs"],
        f"difference {INTERVAL}": ["135.6 [95.0, 176.2]"],
        "p": [".0050"],
        "p (Holm)": [".0050"],
        "p (permutation)": [".2500"],
        "effect size": ["3.46"],
        f"P(higher) {INTERVAL}": ["1.00 [0.60, 1.00]"],
    }
    assert table.notes[0] == "Difference in the mean; p: paired t test."


def test_unpaired_seeds_are_counted_on_both_sides_and_the_family_is_named() -> None:
    row = difference_row("b", "a", n=3, n_reference=5, paired=False, family=3, difference=1.0, p=0.2, p_holm=0.6)
    (table,) = difference_tables(differing(row))
    assert table.columns["n"] == ["3, 5"]
    assert "p (Holm): corrected for 3 tests." in table.notes


def test_one_seed_of_each_leaves_no_column_of_tests() -> None:
    row = difference_row("b", "a", n=1, n_reference=1, test="", difference=1.0)
    (table,) = difference_tables(differing(row))
    assert list(table.columns) == ["configuration", "less", "n", "difference"]


def test_tasks_are_shown_where_there_are_several() -> None:
    assert task_tables(framed([], tasks.COLUMNS)) == []
    scores = dict.fromkeys(("mean", "median", "iqm", "optimality_gap"), 0.5)
    ends = {f"{name}_low": 0.25 for name in scores} | {f"{name}_high": 0.75 for name in scores}
    row = {"configuration_name": "a", "environments": 2, "n": 6, "method": "stratified bootstrap"} | scores | ends
    (table,) = task_tables(framed([row], tasks.COLUMNS))
    assert table.columns[f"optimality gap {INTERVAL}"] == ["0.5000 [0.2500, 0.7500]"]
    assert table.notes == ["Intervals: stratified bootstrap."]


@pytest.mark.parametrize(("left_out", "expected"), [("", "yes"), ("still running", "no: still running")])
def test_every_run_says_whether_it_counts(left_out: str, expected: str) -> None:
    table = run_table(pd.DataFrame(run_rows({"a": [1.0]}, left_out=left_out)), FINAL_RETURN)
    assert table.rows == [("a", "0", "1.000", "finished", expected, "a/CartPole-v1/0", "0abc")]


def test_runs_of_several_environments_say_which() -> None:
    rows = [*run_rows(SCORES), *run_rows(SCORES, "Acrobot-v1")]
    assert (
        run_table(pd.DataFrame(rows), FINAL_RETURN).columns["environment"] == ["CartPole-v1"] * 6 + ["Acrobot-v1"] * 6
    )
