"""Saved views of an experiment's page, in the format of MLflow 3.17, which was tried in a browser."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import pytest

from pgexp.runs.manifest import SweepManifest
from pgexp.tracking.client import MlflowClient
from pgexp.tracking.export import SweepExport
from pgexp.tracking.views import curves_page, save_views, sweep_views

MakeSweep = Callable[..., SweepManifest]
TAG = "mlflow.sharedViewState.pgexp-"


@pytest.fixture
def manifest(uri: str, make_sweep: MakeSweep) -> SweepManifest:
    manifest = make_sweep(uri)
    SweepExport(manifest).open()
    return manifest


def views(manifest: SweepManifest) -> dict[str, dict[str, Any]]:
    """Return the views in the experiment's tags, decoded as the page decodes them."""
    tags = MlflowClient(manifest.tracking.uri).get_experiment_by_name("corridor").tags
    found = {tag.removeprefix(TAG): json.loads(value) for tag, value in tags.items() if tag.startswith(TAG)}
    return {name: view | {"state": json.loads(view["state"])} for name, view in found.items()}


def view_runs(manifest: SweepManifest, view: str) -> list[str]:
    """Return the names of a view's runs, in its order."""
    client, state = MlflowClient(manifest.tracking.uri), views(manifest)[view]["state"]
    experiment = client.get_experiment_by_name("corridor").experiment_id
    key, rising = state.get("orderByKey", "attributes.start_time"), state.get("orderByAsc", True)
    order = f"{key} {'ASC' if rising else 'DESC'}"
    return [run.info.run_name for run in client.search_runs([experiment], state["searchFilter"], order_by=[order])]


def test_experiment_has_three_views(manifest: SweepManifest) -> None:
    found = views(manifest)
    assert sorted(found) == ["configurations", "curves", "failures"]
    for view in found.values():
        assert view["name"].startswith("Last sweep: ")
        assert view["createdAt"] == view["updatedAt"] > 0


def test_ranking_is_sorted_by_the_iqm(manifest: SweepManifest) -> None:
    client = MlflowClient(manifest.tracking.uri)
    for run in client.search_runs([client.get_experiment_by_name("corridor").experiment_id]):
        if run.data.tags["pgexp.role"] == "configuration":
            client.log_metric(run.info.run_id, "over_seeds/return_iqm", 1.0 if run.info.run_name == "lr=a" else 2.0)
    assert view_runs(manifest, "configurations") == ["lr=b", "lr=a"]
    state = views(manifest)["configurations"]["state"]
    assert set(state["selectedColumns"]) == set(state["columnWidths"]) < set(state["columnOrder"])


def test_failures_are_runs_that_did_not_finish(manifest: SweepManifest) -> None:
    client = MlflowClient(manifest.tracking.uri)
    runs = client.search_runs([client.get_experiment_by_name("corridor").experiment_id], "tags.`pgexp.role` = 'run'")
    for run in runs:
        client.set_terminated(run.info.run_id, "FAILED" if run.info.run_name == "lr=a seed=1" else "FINISHED")
    assert view_runs(manifest, "failures") == ["lr=a seed=1"]


def test_curves_show_the_aggregated_curve(manifest: SweepManifest) -> None:
    state = views(manifest)["curves"]["state"]
    assert sorted(view_runs(manifest, "curves")) == ["lr=a", "lr=b"]
    assert [section["name"] for section in state["compareRunSections"]] == ["over_seeds"]
    assert "over_seeds/evaluation_return_iqm".startswith(state["chartsSearchFilter"])


def test_configurations_have_different_colours(manifest: SweepManifest) -> None:
    client = MlflowClient(manifest.tracking.uri)
    experiment = client.get_experiment_by_name("corridor").experiment_id
    found = client.search_runs([experiment], "tags.`pgexp.role` = 'configuration'")
    assert sorted(run.data.tags["mlflow.runColor"] for run in found) == ["#0072B2", "#D55E00"]


def test_page_of_the_last_sweeps_curves(manifest: SweepManifest) -> None:
    client = MlflowClient(manifest.tracking.uri)
    experiment = client.get_experiment_by_name("corridor").experiment_id
    page = curves_page(client, "sweep-1")
    assert page == f"/#/experiments/{experiment}/runs?viewStateShareKey=pgexp-curves&compareRunsMode=CHART"
    assert curves_page(client, "sweep-0") is None


def test_older_sweep_does_not_replace_views(manifest: SweepManifest) -> None:
    client = MlflowClient(manifest.tracking.uri)
    experiment, before = client.get_experiment_by_name("corridor").experiment_id, views(manifest)
    save_views(client, experiment, "older", before["curves"]["createdAt"] - 1)
    assert views(manifest) == before
    save_views(client, experiment, "newer", before["curves"]["createdAt"] + 1)
    assert all("'newer'" in view["state"]["searchFilter"] for view in views(manifest).values())


def test_foreign_view_is_replaced(manifest: SweepManifest) -> None:
    client = MlflowClient(manifest.tracking.uri)
    experiment = client.get_experiment_by_name("corridor").experiment_id
    client.set_experiment_tag(experiment, f"{TAG}curves", "no JSON")
    save_views(client, experiment, "ours", 1)
    assert "'ours'" in views(manifest)["curves"]["state"]["searchFilter"]


def test_installed_mlflow_knows_the_views() -> None:
    """The keys of the state and the tag occur in the page's code: a release without them fails here."""
    scripts = Path(mlflow.__file__).parent.glob("server/js/build/static/js/*.js")
    code = "".join(path.read_text() for path in scripts)
    states = [json.loads(json.loads(view)["state"]) for view in sweep_views("sweep", 1).values()]
    words = {key for state in states for key in state} | {"mlflow.sharedViewState.", "mlflow.runColor", "createdAt"}
    assert {word for word in words if not re.search(rf"\b{re.escape(word)}", code)} == set()
