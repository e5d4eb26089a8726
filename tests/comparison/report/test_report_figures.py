"""Figures of a report with captions and alternative texts."""

from pathlib import Path

import pandas as pd
import pytest

from pgexp.comparison import across_environments
from pgexp.comparison.curves import CURVE_COLUMNS
from pgexp.comparison.frames import METRIC_COLUMNS
from pgexp.comparison.report import figures
from pgexp.schema.names import EVALUATION_RETURN, FINAL_RETURN, GRADIENT_VARIANCE
from tests.comparison.report.report_inputs import (
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
    """Replace drawing, which takes seconds; return the frames of the figures by file name."""
    frames = {}

    def plot(frame: pd.DataFrame, stem: Path, *_: object) -> list[Path]:
        frames[stem.name] = frame
        return [stem.with_suffix(".svg")]

    for name in FIGURES:
        module = "sensitivity" if name == "interaction" else name
        monkeypatch.setattr(f"pgexp.comparison.figures.{module}.plot_{name}", plot)
    monkeypatch.setattr("pgexp.comparison.figures.curves.plot_sample_efficiency", plot)
    return frames


def test_figures_with_data_are_drawn_in_order(drawn: dict[str, pd.DataFrame], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "has_gradients", lambda *_: True)
    monkeypatch.setattr(figures, "study_frame", lambda *_: pd.DataFrame(STUDY))
    monkeypatch.setattr(figures, "study_notes", lambda *_: ["Binned."])
    rows = [
        row | {name: f"{row[name]} lr={lr}" for name in ("configuration", "configuration_name")} | {"param.lr/x": lr}
        for lr in (1, 2)
        for row in run_rows(SCORES)
    ]
    made = comparison(runs=pd.DataFrame(rows), curves=framed(CURVES, CURVE_COLUMNS))
    made_figures = list(figures.draw_figures(made, ["baseline", "lr/x"], Path("here")))
    names = ["learning_curves", "intervals", "differences", "profiles", "sensitivity", "interaction_baseline_lr_x"]
    assert list(drawn) == [*names, "baseline_study"]
    assert [figure.file(".svg").stem for figure in made_figures] == list(drawn)
    assert all(figure.caption and figure.alternative for figure in made_figures)
    assert drawn["learning_curves"] is made.curves
    assert made_figures[0].caption.endswith("its 95 % interval over 2 to 3 seeds.")
    assert made_figures[0].alternative.endswith("at the end: baseline=none 43.00; baseline=mean 42.00.")
    assert made_figures[1].alternative.endswith("means: baseline=none 99.25; baseline=mean 238.0.")
    assert made_figures[2].alternative.endswith("returns: baseline=mean minus baseline=none 135.6.")
    assert made_figures[-1].caption.endswith("over 3 seeds. Binned.")


def test_no_figures_without_data(drawn: dict[str, pd.DataFrame]) -> None:
    runs = pd.DataFrame(run_rows({"a": [float("nan")]}, exclusion="still running", status="RUNNING"))
    bare = comparison(runs=runs, summary=summaries(summary_row("a", n=0)), differences=differing())
    assert list(figures.draw_figures(bare, [], Path("here"))) == []
    assert drawn == {}


def test_no_study_without_gradient_quantities(
    drawn: dict[str, pd.DataFrame],
) -> None:
    list(figures.draw_figures(comparison(), [], Path("here")))
    assert "baseline_study" not in drawn
    (texts,) = figures.missing_figures(comparison())
    assert "diagnostics=full" in texts
    runs = pd.DataFrame(run_rows(SCORES))
    row = {"run_id": runs["run_id"].iloc[0], "metric": GRADIENT_VARIANCE, "steps": 10.0, "value": 1.0}
    full = comparison(metrics=framed([row], METRIC_COLUMNS))
    list(figures.draw_figures(full, [], Path("here")))
    assert "baseline_study" in drawn
    assert figures.missing_figures(full) == []


def test_sample_efficiency_across_environments(drawn: dict[str, pd.DataFrame]) -> None:
    both = {"Acrobot-v1": (-90.0, -80.0), "CartPole-v1": (100.0, 300.0)}
    runs = pd.DataFrame([row for name, scores in both.items() for row in run_rows({"a": scores}, name)])
    runs["configuration_name"] = "env=" + runs["environment"].str[:4] + " a"
    metrics = [
        {"run_id": run, "metric": EVALUATION_RETURN, "steps": steps, "value": value}
        for run, environment in zip(runs["run_id"], runs["environment"], strict=True)
        for steps, value in ((10.0, both[environment][0]), (20.0, both[environment][1]))
    ]
    over = framed([{"configuration_name": "a", "environments": 2, "n": 4}], across_environments.COLUMNS)
    made = comparison(
        runs=runs,
        metrics=framed(metrics, METRIC_COLUMNS),
        environments=over,
        scale=across_environments.score_scale(runs),
        summary=summaries(),
    )
    texts = {figure.file(".svg").stem: figure for figure in figures.draw_figures(made, [], Path("here"))}
    assert drawn["sample_efficiency"]["iqm"].tolist() == [0, 1]
    assert texts["sample_efficiency"].caption.endswith("A line stops at the steps that all environments have.")
    assert texts["sample_efficiency"].alternative.endswith("at the end: a 1.000.")


@pytest.mark.parametrize(("values", "drawn_too"), [((1, 2), True), (("none", "mean"), False)])
def test_sensitivity_to_one_category_is_not_drawn(
    drawn: dict[str, pd.DataFrame], values: tuple[object, ...], drawn_too: bool
) -> None:
    rows = [
        row | {"configuration": str(value), "configuration_name": str(value), "param.baseline": value}
        for value in values
        for row in run_rows({"a": (1.0, 2.0)})
    ]
    texts = [figure.caption for figure in figures.draw_figures(comparison(runs=pd.DataFrame(rows)), [], Path("here"))]
    assert ("sensitivity" in drawn) is drawn_too
    plain = "Sensitivity: the mean final return at each value of a hyper-parameter, with 95 % intervals."
    assert (plain in texts) is drawn_too


def test_sensitivity_to_several_categories_is_drawn(drawn: dict[str, pd.DataFrame]) -> None:
    rows = [
        row
        | {name: f"{row[name]} {network}" for name in ("configuration", "configuration_name")}
        | {"param.x": network}
        for network in ("mlp", "gru")
        for row in run_rows(SCORES)
    ]
    list(figures.draw_figures(comparison(runs=pd.DataFrame(rows)), [], Path("here")))
    assert set(drawn["sensitivity"]["factor"]) == {"baseline", "x"}


def test_alternative_text_of_a_profile(drawn: dict[str, pd.DataFrame]) -> None:
    runs = pd.DataFrame(run_rows({"a": (10.0, 20.0, 30.0)}))
    assert runs[FINAL_RETURN].median() == 20
    texts = [figure.alternative for figure in figures.draw_figures(comparison(runs=runs), [], Path("here"))]
    assert "Performance profiles. Less than half of the runs score above: a 20.00." in texts


def test_alternative_text_of_many_values() -> None:
    rows = [summary_row(f"c{place}", iqm=float(place)) for place in range(11)]
    texts = [
        figure.alternative for figure in figures.draw_figures(comparison(summary=summaries(*rows)), [], Path("here"))
    ]
    assert any(text.endswith("c7 7.000; and 3 more.") for text in texts)


def test_alternative_text_names_environments() -> None:
    rows = summaries(NONE, MEAN | {"environment": "Acrobot-v1"})
    texts = [figure.alternative for figure in figures.draw_figures(comparison(summary=rows), [], Path("here"))]
    assert any(text.endswith("CartPole-v1, baseline=none 99.25; Acrobot-v1, baseline=mean 238.0.") for text in texts)
