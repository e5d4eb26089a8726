import io
import math
import re

import pandas as pd
import pytest
from rich.console import Console

from pgexp.comparison.comparing import Comparison, compare
from pgexp.comparison.table import render, show
from tests.comparison.by_hand import Scores, evaluations, seed_runs


def compared(scores: Scores, threshold: float = math.nan) -> Comparison:
    return compare(seed_runs(scores, threshold), evaluations({}))


def printed(comparison: Comparison, width: int = 120, full: bool = True) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(render(comparison, full))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def lines(comparison: Comparison, full: bool = True) -> list[list[str]]:
    return [line.split() for line in printed(comparison, full=full).splitlines()]


def test_numbers_are_printed_with_common_decimals_and_intervals_in_brackets() -> None:
    comparison = compare(
        seed_runs({"a": [0, 0, 0], "b": [1234.5, 1234.5, 1234.5]}, threshold=475),
        evaluations({"a-0": [(51_200, 500)], "a-1": [(102_400, 0)], "b-0": [(200_000, 0)]}),
    )
    interval, other = ["[", "0,", "0]"], ["[1,234,", "1,234]"]
    assert ["a", "3", "0", *interval, "0", *interval, "0", "0", "51.2k", "1/2"] in lines(comparison)
    assert ["b", "3", "1,234", *other, "1,234", *other, "1,234", "1,234", ">200k", "0/1"] in lines(comparison)


def test_without_its_interval_the_mean_takes_less_room() -> None:
    comparison = compared({"a": [1.0, 2.0, 3.0]})
    (long,), (short,) = ([line for line in lines(comparison, full) if line[:1] == ["a"]] for full in (True, False))
    assert len(long) == len(short) + 2
    assert short == ["a", "3", "2.000", *long[3:5], "2.000", "1.000", "3.000"]


def test_what_is_absent_is_a_dash() -> None:
    assert ["lone", "1", "3.000", "-", "3.000", "-", "3.000", "3.000"] in lines(compared({"lone": [3.0]}))
    assert ["none", "0", "-", "-", "-", "-", "-", "-"] in lines(compared({"none": [math.nan]}))


def test_without_a_threshold_nothing_is_said_of_one() -> None:
    text = printed(compare(seed_runs({"a": [1.0, 2.0]}), evaluations({"a-0": [(10, 90)]})))
    assert "steps" not in text
    assert "reached" not in text


def test_lost_runs_have_a_column_where_there_are_some() -> None:
    runs = seed_runs({"a": [1.0, 2.0, 3.0, math.nan], "b": [1.0, 2.0, 3.0, 4.0]})
    runs.loc[3, "status"] = "FAILED"
    comparison = compare(runs, evaluations({}))
    (row,) = (line for line in lines(comparison) if line[0:1] == ["a"])
    assert row[-4:] == ["1/4", "[1,", "81]", "%"]  # by Clopper and Pearson: [.006, .806]
    (row,) = (line for line in lines(comparison, full=False) if line[0:2] == ["b", "4"])
    assert row[-1] == "0/4"
    assert "collapsed\n" not in printed(compared({"a": [1.0]})).partition("\n\n")[0]


def test_every_environment_has_its_table_threshold_and_differences() -> None:
    both = [
        seed_runs({"a": [1.0, 2.0], "b": [2.0, 1.0]}, 475),
        seed_runs({"c": [-90.0, -80.0], "d": [-70.0, -60.0]}, -100, "Acrobot-v1"),
    ]
    text = printed(compare(pd.concat(both, ignore_index=True), evaluations({})))
    places = ["Final return on CartPole-v1", "to 475", "Final return on Acrobot-v1", "to -100"]
    places += ["Differences on CartPole-v1", "Differences on Acrobot-v1"]
    assert [text.index(place) for place in places] == sorted(text.index(place) for place in places)


def test_several_environments_have_a_table_of_normalised_scores() -> None:
    runs = [seed_runs({"env=a lr=1": [100.0, 200.0]}), seed_runs({"env=b lr=1": [-90.0, -80.0]}, environment="B")]
    scale = pd.DataFrame({"environment": ["CartPole-v1", "B"], "low": [0.0, -100.0], "high": [500.0, 0.0]})
    text = printed(compare(pd.concat(runs, ignore_index=True), evaluations({}), scale=scale))
    (row,) = (line.split() for line in text.splitlines() if line.startswith("lr=1 "))
    assert row[:3] == ["lr=1", "4", "0.200"]  # the middle two of .1, .2, .2 and .4
    assert "Normalised score over 2 environments" in text
    assert "intervals over seeds by the stratified t" in text


def test_names_are_shown_as_they_are() -> None:
    text = printed(compared({"net=[64,64]": [1.0, 2.0], "[red]b": [2.0, 3.0]}))
    assert text.count("net=[64,64]") >= 2
    assert text.count("[red]b") >= 2


def test_differences_are_put_into_words_the_surest_first() -> None:
    text = printed(compared({"a": [1.0, 2.0, 3.0], "b": [1.5, 2.1, 2.7], "c": [11.0, 12.1, 13.0]}))
    told = text.partition("Differences on CartPole-v1")[2].strip()
    assert told.startswith("c is better than a by ")
    assert "b is not distinguishable from a" in told


def test_what_it_would_take_is_told_once_of_all_pairs_that_it_is_the_same_of() -> None:
    text = printed(compared({"a": [1.0, 2.0, 3.0], "b": [2.0, 1.0, 3.0], "c": [3.0, 2.0, 1.0]}))
    told = text.partition("Differences on CartPole-v1")[2].strip().splitlines()
    assert sum(" is not distinguishable from " in line for line in told) == 3
    assert " would show a difference of one standard deviation" in told[3]
    assert len(told) == 4


def test_of_many_differences_some_are_told_and_the_rest_counted() -> None:
    comparison = compared({f"lr={n}": [n, n + 1.0, n + 3.0] for n in range(13)})
    told = printed(comparison).partition("Differences on CartPole-v1")[2].splitlines()
    assert sum(" lr=12 " in line for line in told) == 10
    assert "and 2 more in differences.csv" in told


def test_one_configuration_differs_from_none() -> None:
    assert "Differences" not in printed(compared({"a": [1.0, 2.0]}))


def shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int) -> str:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    show(compared({"baseline=value lr=0.01": [498.76, 498.76, 498.76]}, threshold=475))
    return re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)


def test_a_narrow_terminal_cuts_no_number(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    out = shown(capsys, monkeypatch, 40)
    assert out.count("[498.8, 498.8]") == 1, "of the IQM alone"
    assert "0/0" in out
    assert "…" not in out


def test_a_wide_terminal_shows_the_mean_s_interval(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shown(capsys, monkeypatch, 120).count("[498.8, 498.8]") == 2


def test_a_hundred_and_twenty_columns_hold_a_usual_table(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing tells the width of a pipe; lines that are written there are not longer than this."""
    scores = {f"baseline={name} optimizer.lr=0.003": [483.3, 9.2, 500.0, 471.5] for name in ("none", "leave_one_out")}
    show(compared(scores, threshold=475))
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 120
