import io
import math
from collections.abc import Mapping, Sequence

import pandas as pd
import pytest
from rich.console import Console

from pgexp.comparison.table import footnotes, render, show, summary
from pgexp.schema.names import EVALUATION_RETURN, FINAL_RETURN

Scores = Mapping[str, Sequence[float]]


def seed_runs(scores: Scores, threshold: float = math.nan, environment: str = "CartPole-v1") -> pd.DataFrame:
    rows = [
        {
            "run_id": f"{name}-{seed}",
            "environment": environment,
            "configuration": f"key of {name}",
            "configuration_name": name,
            "seed": seed,
            "status": "FINISHED",
            "start": pd.Timestamp(0),
            "threshold": threshold,
            FINAL_RETURN: score,
        }
        for name, of_seeds in scores.items()
        for seed, score in enumerate(of_seeds)
    ]
    return pd.DataFrame(rows)


def evaluations(curves: Mapping[str, Sequence[tuple[int, float]]]) -> pd.DataFrame:
    rows = [(run, EVALUATION_RETURN, steps, value) for run, points in curves.items() for steps, value in points]
    return pd.DataFrame(rows, columns=["run_id", "metric", "steps", "value"])


def printed(frame: pd.DataFrame, width: int = 120) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(render(frame))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_scores_are_summarised_over_seeds() -> None:
    row = summary(seed_runs({"a": [500, 100, 470, 490, 480]}), evaluations({})).iloc[0]
    assert (row["environment"], row["configuration_name"], row["configuration"]) == ("CartPole-v1", "a", "key of a")
    assert (row["n"], row["min"], row["max"]) == (5, 100, 500)
    assert row["mean"] == pytest.approx(408)
    assert row["iqm"] == pytest.approx((470 + 480 + 490) / 3)
    # Of the 3,125 resamples 21 hold the seed with 100 four times or five: their IQM is lower. 160 hold it three
    # times: their middle is 100, 100 and 470, 480, 490 or 500, in 70, 50, 30 and 10 cases. The quantile .025 is
    # the 78th of all, which is among the 70; by the error of the draws it may be among the 50.
    assert row["iqm_low"] == pytest.approx((100 + 100 + 475) / 3, abs=(480 - 470) / 3 / 2 + 1e-9)
    assert row["iqm_high"] <= 500


def test_a_lone_seed_has_no_interval_and_a_scoreless_configuration_keeps_its_row() -> None:
    frame = summary(seed_runs({"lone": [3.0], "none": [math.nan, math.nan]}), evaluations({}))
    assert frame["n"].tolist() == [1, 0]
    assert frame["iqm"].iloc[0] == 3
    assert frame[["iqm_low", "iqm_high"]].isna().all(axis=None)
    assert frame.loc[1, ["mean", "iqm", "min", "max"]].isna().all()
    assert "none           0      -            -" in printed(frame)


def test_steps_to_the_threshold_are_the_median_of_those_who_reach_it() -> None:
    runs = seed_runs({"a": [1, 2, 3, math.nan], "b": [4.0]}, threshold=475)
    curves = evaluations(
        {
            "a-0": [(10, 400), (20, 480), (30, 300)],
            "a-1": [(10, 475), (20, 100)],
            "a-2": [(10, 0), (20, 474)],
            "a-3": [(10, 500)],  # did not end, so it does not count
            "b-0": [(10, 0)],
        }
    )
    a, b = summary(runs, curves).to_dict("records")
    assert (a["threshold"], a["steps_to_threshold"], a["reached"], a["n"]) == (475, 15, 2, 3)
    assert (b["reached"], b["n"]) == (0, 1)
    assert math.isnan(b["steps_to_threshold"])


def test_a_given_threshold_takes_the_environments_place() -> None:
    runs = seed_runs({"a": [1.0]}, threshold=475)
    row = summary(runs, evaluations({"a-0": [(10, 90), (20, 200)]}), threshold=100).iloc[0]
    assert (row["threshold"], row["steps_to_threshold"], row["reached"]) == (100, 20, 1)


def test_without_a_threshold_nothing_is_said_of_one() -> None:
    frame = summary(seed_runs({"a": [1.0, 2.0]}), evaluations({"a-0": [(10, 90)]}))
    assert frame[["threshold", "steps_to_threshold", "reached"]].isna().all(axis=None)
    assert "steps" not in printed(frame)
    assert "reached" not in printed(frame)


def test_numbers_are_printed_with_common_decimals_and_an_interval_in_brackets() -> None:
    frame = summary(
        seed_runs({"a": [0, 0], "b": [1234.5, 1234.5]}, threshold=475), evaluations({"a-0": [(51_200, 500)]})
    )
    lines = [line.split() for line in printed(frame).splitlines()]
    assert ["a", "2", "0", "[", "0,", "0]", "0", "0", "0", "51.2k", "1/2"] in lines
    assert ["b", "2", "1,234", "[1,234,", "1,234]", "1,234", "1,234", "1,234", "-", "0/2"] in lines


def test_every_environment_has_its_table_and_threshold() -> None:
    both = [seed_runs({"a": [1.0]}, 475), seed_runs({"b": [-90.0]}, -100, "Acrobot-v1").assign(run_id="b")]
    text = printed(summary(pd.concat(both, ignore_index=True), evaluations({})))
    assert text.index("Final return on CartPole-v1") < text.index("to 475") < text.index("Final return on Acrobot-v1")
    assert "to -100" in text


def test_names_are_shown_as_they_are() -> None:
    assert "net=[64,64]" in printed(summary(seed_runs({"net=[64,64]": [1.0]}), evaluations({})))


@pytest.mark.parametrize(("seeds", "warns"), [(9, True), (10, False)])
def test_the_footnote_warns_of_few_seeds(seeds: int, warns: bool) -> None:
    text = " ".join(footnotes(summary(seed_runs({"a": range(seeds)}), evaluations({}))))
    assert "95 % percentile bootstrap over seeds" in text
    assert ("76 % and 85 %" in text) is warns


def test_a_narrow_terminal_cuts_no_number(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    show(summary(seed_runs({"baseline=value lr=0.01": [498.76, 498.76]}, threshold=475), evaluations({})))
    out = capsys.readouterr().out
    assert "[498.8, 498.8]" in out
    assert "0/2" in out
    assert "…" not in out
