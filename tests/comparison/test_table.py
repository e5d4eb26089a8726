"""Terminal output: tables, footnotes and verdicts."""

import io
import math
import re

import pandas as pd
import pytest
from rich.console import Console

from pgexp.comparison.comparison import Comparison, compare
from pgexp.comparison.table import footnotes, render, show
from tests.comparison.seed_frames import Scores, evaluations, seed_runs


def compared(scores: Scores, threshold: float = math.nan) -> Comparison:
    return compare(seed_runs(scores, threshold), evaluations({}))


def printed(comparison: Comparison, width: int = 120, full: bool = True) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(render(comparison, full))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def lines(comparison: Comparison, full: bool = True) -> list[list[str]]:
    return [line.split() for line in printed(comparison, full=full).splitlines()]


def test_numbers_have_common_decimals() -> None:
    comparison = compare(
        seed_runs({"a": [0, 0, 0], "b": [1234.5, 1234.5, 1234.5]}, threshold=475),
        evaluations({"a-0": [(51_200, 500)], "a-1": [(102_400, 0)], "b-0": [(200_000, 0)]}),
    )
    interval, other = ["[", "0,", "0]"], ["[1,234,", "1,234]"]
    assert ["a", "3", "0", *interval, "0", *interval, "0", "0", "51.2k", "1/2"] in lines(comparison)
    assert ["b", "3", "1,234", *other, "1,234", *other, "1,234", "1,234", ">200k", "0/1"] in lines(comparison)


def test_table_without_the_means_interval() -> None:
    comparison = compared({"a": [1.0, 2.0, 3.0]})
    (long,), (short,) = ([line for line in lines(comparison, full) if line[:1] == ["a"]] for full in (True, False))
    assert len(long) == len(short) + 2
    assert short == ["a", "3", "2.000", *long[3:5], "2.000", "1.000", "3.000"]


def test_absent_values_are_dashes() -> None:
    assert ["lone", "1", "3.000", "-", "3.000", "-", "3.000", "3.000"] in lines(compared({"lone": [3.0]}))
    assert ["none", "0", "-", "-", "-", "-", "-", "-"] in lines(compared({"none": [math.nan]}))


def test_no_steps_column_without_a_threshold() -> None:
    text = printed(compare(seed_runs({"a": [1.0, 2.0]}), evaluations({"a-0": [(10, 90)]})))
    assert "steps" not in text
    assert "reached" not in text


def test_column_of_failed_and_collapsed_runs() -> None:
    runs = seed_runs({"a": [1.0, 2.0, 3.0, math.nan], "b": [1.0, 2.0, 3.0, 4.0]})
    runs.loc[3, "status"] = "FAILED"
    comparison = compare(runs, evaluations({}))
    (row,) = (line for line in lines(comparison) if line[0:1] == ["a"])
    assert row[-4:] == ["1/4", "[1,", "81]", "%"]  # by Clopper and Pearson: [.006, .806]
    (row,) = (line for line in lines(comparison, full=False) if line[0:2] == ["b", "4"])
    assert row[-1] == "0/4"
    assert "collapsed\n" not in printed(compared({"a": [1.0]})).partition("\n\n")[0]


def test_each_environment_has_its_table_and_verdicts() -> None:
    both = [
        seed_runs({"a": [1.0, 2.0], "b": [2.0, 1.0]}, 475),
        seed_runs({"c": [-90.0, -80.0], "d": [-70.0, -60.0]}, -100, "Acrobot-v1"),
    ]
    text = printed(compare(pd.concat(both, ignore_index=True), evaluations({})))
    places = ["Final return on CartPole-v1", "to 475", "Final return on Acrobot-v1", "to -100"]
    places += ["Differences on CartPole-v1", "Differences on Acrobot-v1"]
    assert [text.index(place) for place in places] == sorted(text.index(place) for place in places)


def test_table_of_normalised_scores() -> None:
    runs = [seed_runs({"env=a lr=1": [100.0, 200.0]}), seed_runs({"env=b lr=1": [-90.0, -80.0]}, environment="B")]
    scale = pd.DataFrame({"environment": ["CartPole-v1", "B"], "low": [0.0, -100.0], "high": [500.0, 0.0]})
    text = printed(compare(pd.concat(runs, ignore_index=True), evaluations({}), scale=scale))
    (row,) = (line.split() for line in text.splitlines() if line.startswith("lr=1 "))
    assert row[:3] == ["lr=1", "4", "0.200"]  # the middle two of .1, .2, .2 and .4
    assert "Normalised score over 2 environments" in text
    assert "intervals over seeds by the stratified t" in text


def test_names_are_printed_verbatim() -> None:
    text = printed(compared({"net=[64,64]": [1.0, 2.0], "[red]b": [2.0, 3.0]}))
    assert text.count("net=[64,64]") >= 2
    assert text.count("[red]b") >= 2


def test_significant_verdicts_come_first() -> None:
    text = printed(compared({"a": [1.0, 2.0, 3.0], "b": [1.5, 2.1, 2.7], "c": [11.0, 12.1, 13.0]}))
    verdicts = text.partition("Differences on CartPole-v1")[2].strip()
    assert verdicts.startswith("c is better than a by ")
    assert "b is not distinguishable from a" in verdicts


def test_equal_hints_are_printed_once() -> None:
    text = printed(compared({"a": [1.0, 2.0, 3.0], "b": [2.0, 1.0, 3.0], "c": [3.0, 2.0, 1.0]}))
    verdicts = text.partition("Differences on CartPole-v1")[2].strip().splitlines()
    assert sum(" is not distinguishable from " in line for line in verdicts) == 3
    assert " would detect a difference of one standard deviation" in verdicts[3]
    assert len(verdicts) == 4


def test_at_most_ten_verdicts_are_printed() -> None:
    comparison = compared({f"lr={n}": [n, n + 1.0, n + 3.0] for n in range(13)})
    verdicts = printed(comparison).partition("Differences on CartPole-v1")[2].splitlines()
    assert sum(" lr=12 " in line for line in verdicts) == 10
    assert "and 2 more in differences.csv" in verdicts


def test_no_verdicts_for_one_configuration() -> None:
    assert "Differences" not in printed(compared({"a": [1.0, 2.0]}))


def shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int) -> str:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    show(compared({"baseline=value lr=0.01": [498.76, 498.76, 498.76]}, threshold=475))
    return re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)


def test_a_narrow_terminal_cuts_no_number(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    out = shown(capsys, monkeypatch, 40)
    assert out.count("[498.8, 498.8]") == 1, "of the IQM only"
    assert "0/0" in out
    assert "…" not in out


def test_a_wide_terminal_shows_the_means_interval(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shown(capsys, monkeypatch, 120).count("[498.8, 498.8]") == 2


def test_a_usual_table_fits_120_columns(capsys: pytest.CaptureFixture[str]) -> None:
    """A pipe has no width; lines have at most 120 characters."""
    scores = {f"baseline={name} optimizer.lr=0.003": [483.3, 9.2, 500.0, 471.5] for name in ("none", "leave_one_out")}
    show(compared(scores, threshold=475))
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 120


def footnote_text(scores: Scores, threshold: float = math.nan) -> str:
    return "\n".join(footnotes(compare(seed_runs(scores, threshold), evaluations({}))))


def test_footnotes_name_the_interval_methods() -> None:
    text = footnote_text({"a": [1.0, 2.0, 3.0, 4.0, 5.0]})
    assert "of the IQM: trimmed t; of the mean: t." in text


def test_no_methods_without_an_interval() -> None:
    assert "95 % intervals" not in footnote_text({"a": [1.0]})


def test_caveats_name_configuration_and_estimate() -> None:
    text = footnote_text({"skewed": [500.0, 100.0, 470.0, 490.0, 480.0], "even": [1.0, 2.0, 3.0, 4.0, 5.0]})
    assert "skewed, mean: The scores look skewed" in text
    assert "even, " not in text


def test_equal_caveats_are_printed_once() -> None:
    text = footnote_text({f"lr={n}": [n + 1.0, n + 2.0, n + 3.0] for n in range(5)})
    assert text.count("which 3 seeds cannot show") == 1
    assert "lr=0, lr=1, lr=2 and 2 more, IQM and mean: " in text


def test_footnote_without_failed_runs() -> None:
    """No failure in n runs is compatible with a share p if (1 - p)^n >= .025: p = .522 at 5 and .308 at 10."""
    assert "with 5 seeds, a share of up to 52 % is possible" in footnote_text({"a": [1.0, 2.0, 3.0, 4.0, 5.0]})
    assert "with 10 to 5 seeds, a share of up to 31 % to 52 % is possible" in footnote_text(
        {"a": range(10), "b": range(5)}
    )


def test_footnote_on_failed_runs() -> None:
    runs = seed_runs({"a": [1.0, 2.0, 3.0, math.nan]})
    runs.loc[3, "status"] = "FAILED"
    text = "\n".join(footnotes(compare(runs, evaluations({}))))
    assert "1 run failed, 0 collapsed" in text
    assert "is possible" not in text


@pytest.mark.parametrize("threshold", [475.0, math.nan])
def test_footnote_on_steps_to_the_threshold(threshold: float) -> None:
    assert ("Kaplan-Meier" in footnote_text({"a": [1.0, 2.0]}, threshold)) is not math.isnan(threshold)


def test_footnote_on_selection_bias() -> None:
    alike = {"a": [1.0, 5.0, 3.0, 2.0], "b": [2.0, 4.0, 1.0, 5.0], "c": [5.0, 1.0, 3.0, 4.0]}
    assert re.search(r"The mean of c, the best of 3 .* is too high by about \d\.\d{3};", footnote_text(alike))
    large = {name: [score + 400 for score in scores] for name, scores in alike.items()}
    assert re.search(r"The mean of c, .* is too high by about \d\.\d;", footnote_text(large)), (
        "the decimals of the table"
    )
    assert "pgexp-compare --select" in footnote_text(alike)


def test_no_footnote_on_small_selection_bias() -> None:
    assert "too high" not in footnote_text({"a": [1.0, 2.0], "b": [1001.0, 1002.0]})
    assert "too high" not in footnote_text({"a": [1.0, 2.0]})


@pytest.mark.slow
@pytest.mark.parametrize("scores", [{"a": [1.0], "b": [3.0]}, {"a": [1.0, 2.0, 3.0], "b": [7.0]}])
def test_footnote_on_unknown_selection_bias(scores: Scores) -> None:
    assert "single seeds cannot show" in footnote_text(scores)
