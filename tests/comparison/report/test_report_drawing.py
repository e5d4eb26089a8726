import importlib
from pathlib import Path

import pandas as pd
import pytest

from pgexp.comparison import curves, tasks
from pgexp.comparison.frames import METRIC_COLUMNS
from pgexp.comparison.report import drawing
from pgexp.schema.names import EVALUATION_RETURN, FINAL_RETURN, GRADIENT_VARIANCE
from tests.comparison.report.made import (
    MEAN,
    NONE,
    SCORES,
    comparison,
    differing,
    framed,
    run_rows,
    summaries,
    summary_row,
)

FIGURES = ("baseline_study", "curves", "differences", "interaction", "intervals", "profiles", "sensitivity")
CURVES = [
    {"environment": "CartPole-v1", "configuration_name": name, "steps": steps, "n": n, "iqm": iqm}
    for name, n in (("baseline=none", 3), ("baseline=mean", 2))
    for steps, iqm in ((100.0, 20.0), (200.0, 40.0 + n))
]
STUDY = [
    {"environment": "CartPole-v1", "configuration_name": "a", "quantity": quantity, "n": 3}
    for quantity in ("return", "variance")
]


@pytest.fixture(autouse=True)
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, pd.DataFrame]:
    """The frames of the figures that were drawn, by the name of their files; drawing itself takes seconds."""
    frames = {}

    def plot(frame: pd.DataFrame, stem: Path, *_: object) -> list[Path]:
        frames[stem.name] = frame
        return [stem.with_suffix(".svg")]

    for name in FIGURES:
        monkeypatch.setattr(importlib.import_module(f"pgexp.comparison.figures.{name}"), f"plot_{name}", plot)
    monkeypatch.setattr("pgexp.comparison.figures.curves.plot_sample_efficiency", plot)
    return frames


def test_each_figure_that_there_is_data_for_is_drawn_in_order(
    drawn: dict[str, pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "has_gradients", lambda *_: True)
    monkeypatch.setattr(drawing, "study_frame", lambda *_: pd.DataFrame(STUDY))
    monkeypatch.setattr(drawing, "study_notes", lambda *_: ["Binned."])
    rows = [
        row | {name: f"{row[name]} lr={lr}" for name in ("configuration", "configuration_name")} | {"param.lr/x": lr}
        for lr in (1, 2)
        for row in run_rows(SCORES)
    ]
    made = comparison(runs=pd.DataFrame(rows), curves=framed(CURVES, curves.COLUMNS))
    figures = list(drawing.drawings(made, ["baseline", "lr/x"], Path("here")))
    names = ["learning_curves", "intervals", "differences", "profiles", "sensitivity", "interaction_baseline_lr_x"]
    assert list(drawn) == [*names, "baseline_study"]
    assert [figure.file(".svg").stem for figure in figures] == list(drawn)
    assert all(figure.caption and figure.alternative for figure in figures)
    assert drawn["learning_curves"] is made.curves
    assert figures[0].caption.endswith("its 95 % interval over 2 to 3 seeds.")
    assert figures[0].alternative.endswith("at the end: baseline=none 43.00; baseline=mean 42.00.")
    assert figures[1].alternative.endswith("means: baseline=none 99.25; baseline=mean 238.0.")
    assert figures[2].alternative.endswith("return: baseline=mean less baseline=none 135.6.")
    assert figures[-1].caption.endswith("over 3 seeds. Binned.")


def test_nothing_is_drawn_of_nothing(drawn: dict[str, pd.DataFrame]) -> None:
    runs = pd.DataFrame(run_rows({"a": [float("nan")]}, left_out="still running", status="RUNNING"))
    bare = comparison(runs=runs, summary=summaries(summary_row("a", n=0)), differences=differing())
    assert list(drawing.drawings(bare, [], Path("here"))) == []
    assert drawn == {}


def test_without_a_gradient_s_quantities_no_study_is_drawn_and_what_records_them_is_told(
    drawn: dict[str, pd.DataFrame],
) -> None:
    list(drawing.drawings(comparison(), [], Path("here")))
    assert "baseline_study" not in drawn
    (told,) = drawing.undrawn(comparison())
    assert "diagnostics=full" in told
    runs = pd.DataFrame(run_rows(SCORES))
    row = {"run_id": runs["run_id"].iloc[0], "metric": GRADIENT_VARIANCE, "steps": 10.0, "value": 1.0}
    full = comparison(metrics=framed([row], METRIC_COLUMNS))
    list(drawing.drawings(full, [], Path("here")))
    assert "baseline_study" in drawn
    assert drawing.undrawn(full) == []


def test_several_environments_have_a_curve_over_all_of_them(drawn: dict[str, pd.DataFrame]) -> None:
    both = {"Acrobot-v1": (-90.0, -80.0), "CartPole-v1": (100.0, 300.0)}
    runs = pd.DataFrame([row for name, scores in both.items() for row in run_rows({"a": scores}, name)])
    runs["configuration_name"] = "env=" + runs["environment"].str[:4] + " a"
    metrics = [
        {"run_id": run, "metric": EVALUATION_RETURN, "steps": steps, "value": value}
        for run, environment in zip(runs["run_id"], runs["environment"], strict=True)
        for steps, value in ((10.0, both[environment][0]), (20.0, both[environment][1]))
    ]
    over = framed([{"configuration_name": "a", "environments": 2, "n": 4}], tasks.COLUMNS)
    made = comparison(
        runs=runs, metrics=framed(metrics, METRIC_COLUMNS), tasks=over, scale=tasks.scale_of(runs), summary=summaries()
    )
    told = {figure.file(".svg").stem: figure for figure in drawing.drawings(made, [], Path("here"))}
    assert drawn["sample_efficiency"]["iqm"].tolist() == [0, 1]
    assert told["sample_efficiency"].caption.endswith("A line stops at the steps that all environments have.")
    assert told["sample_efficiency"].alternative.endswith("at the end: a 1.000.")


@pytest.mark.parametrize(("values", "drawn_too"), [((1, 2), True), (("none", "mean"), False)])
def test_the_sensitivity_to_a_single_category_is_the_interval_plot(
    drawn: dict[str, pd.DataFrame], values: tuple[object, ...], drawn_too: bool
) -> None:
    rows = [
        row | {"configuration": str(value), "configuration_name": str(value), "param.baseline": value}
        for value in values
        for row in run_rows({"a": (1.0, 2.0)})
    ]
    told = [figure.caption for figure in drawing.drawings(comparison(runs=pd.DataFrame(rows)), [], Path("here"))]
    assert ("sensitivity" in drawn) is drawn_too
    plain = "Sensitivity: the mean final return at each value of a hyper-parameter, with 95 % intervals."
    assert (plain in told) is drawn_too


def test_the_sensitivity_to_several_categories_is_drawn(drawn: dict[str, pd.DataFrame]) -> None:
    rows = [
        row
        | {name: f"{row[name]} {network}" for name in ("configuration", "configuration_name")}
        | {"param.x": network}
        for network in ("mlp", "gru")
        for row in run_rows(SCORES)
    ]
    list(drawing.drawings(comparison(runs=pd.DataFrame(rows)), [], Path("here")))
    assert set(drawn["sensitivity"]["factor"]) == {"baseline", "x"}


def test_a_profile_s_words_tell_what_less_than_half_of_the_runs_exceed(drawn: dict[str, pd.DataFrame]) -> None:
    runs = pd.DataFrame(run_rows({"a": (10.0, 20.0, 30.0)}))
    assert runs[FINAL_RETURN].median() == 20
    told = [figure.alternative for figure in drawing.drawings(comparison(runs=runs), [], Path("here"))]
    assert "Performance profiles. Less than half of the runs score above: a 20.00." in told


def test_words_for_a_figure_refer_to_the_rest_of_many_values() -> None:
    rows = [summary_row(f"c{place}", iqm=float(place)) for place in range(11)]
    told = [figure.alternative for figure in drawing.drawings(comparison(summary=summaries(*rows)), [], Path("here"))]
    assert any(text.endswith("c7 7.000; and 3 more.") for text in told)


def test_words_for_several_environments_name_them() -> None:
    rows = summaries(NONE, MEAN | {"environment": "Acrobot-v1"})
    told = [figure.alternative for figure in drawing.drawings(comparison(summary=rows), [], Path("here"))]
    assert any(text.endswith("CartPole-v1, baseline=none 99.25; Acrobot-v1, baseline=mean 238.0.") for text in told)
