"""The saved views of an experiment's page; the form is that of the UI of MLflow 3.17, tried in a browser."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import pytest

from pgexp.storage.mlflow_client import MlflowClient
from pgexp.storage.mlflow_sink import MlflowSink
from pgexp.storage.mlflow_views import curves_page, save_views, saved_views
from pgexp.storage.record import Record

MakeRecord = Callable[..., Record]
TAG = "mlflow.sharedViewState.pgexp-"


@pytest.fixture
def record(uri: str, make_record: MakeRecord) -> Record:
    record = make_record(uri)
    MlflowSink(record).open()
    return record


def views(record: Record) -> dict[str, dict[str, Any]]:
    """Return what the experiment's page finds in its tags, as it reads them: an envelope around a state."""
    tags = MlflowClient(record.tracking.uri).get_experiment_by_name("corridor").tags
    found = {tag.removeprefix(TAG): json.loads(value) for tag, value in tags.items() if tag.startswith(TAG)}
    return {name: view | {"state": json.loads(view["state"])} for name, view in found.items()}


def listed(record: Record, view: str) -> list[str]:
    """Return the names of the runs that a view shows, in its order."""
    client, state = MlflowClient(record.tracking.uri), views(record)[view]["state"]
    experiment = client.get_experiment_by_name("corridor").experiment_id
    key, rising = state.get("orderByKey", "attributes.start_time"), state.get("orderByAsc", True)
    order = f"{key} {'ASC' if rising else 'DESC'}"
    return [run.info.run_name for run in client.search_runs([experiment], state["searchFilter"], order_by=[order])]


def test_an_experiment_has_three_views_as_the_page_reads_them(record: Record) -> None:
    found = views(record)
    assert sorted(found) == ["configurations", "curves", "failures"]
    for view in found.values():
        assert view["name"].startswith("Last sweep: ")
        assert view["createdAt"] == view["updatedAt"] > 0


def test_configurations_are_ranked_by_their_iqm(record: Record) -> None:
    client = MlflowClient(record.tracking.uri)
    for run in client.search_runs([client.get_experiment_by_name("corridor").experiment_id]):
        if run.data.tags["pgexp.role"] == "configuration":
            client.log_metric(run.info.run_id, "over_seeds/return_iqm", 1.0 if run.info.run_name == "lr=a" else 2.0)
    assert listed(record, "configurations") == ["lr=b", "lr=a"]
    state = views(record)["configurations"]["state"]
    assert set(state["selectedColumns"]) == set(state["columnWidths"]) < set(state["columnOrder"])


def test_runs_that_did_not_finish_are_shown(record: Record) -> None:
    client = MlflowClient(record.tracking.uri)
    runs = client.search_runs([client.get_experiment_by_name("corridor").experiment_id], "tags.`pgexp.role` = 'run'")
    for run in runs:
        client.set_terminated(run.info.run_id, "FAILED" if run.info.run_name == "lr=a seed=1" else "FINISHED")
    assert listed(record, "failures") == ["lr=a seed=1"]


def test_the_curves_view_shows_the_metrics_of_a_configuration_s_curve(record: Record) -> None:
    state = views(record)["curves"]["state"]
    assert sorted(listed(record, "curves")) == ["lr=a", "lr=b"]
    assert [section["name"] for section in state["compareRunSections"]] == ["over_seeds"]
    assert "over_seeds/evaluation_return_iqm".startswith(state["chartsSearchFilter"])


def test_configurations_have_colours_of_their_own(record: Record) -> None:
    client = MlflowClient(record.tracking.uri)
    experiment = client.get_experiment_by_name("corridor").experiment_id
    found = client.search_runs([experiment], "tags.`pgexp.role` = 'configuration'")
    assert sorted(run.data.tags["mlflow.runColor"] for run in found) == ["#0072B2", "#D55E00"]


def test_the_curves_of_the_last_sweep_alone_have_a_page(record: Record) -> None:
    client = MlflowClient(record.tracking.uri)
    experiment = client.get_experiment_by_name("corridor").experiment_id
    page = curves_page(client, "sweep-1")
    assert page == f"/#/experiments/{experiment}/runs?viewStateShareKey=pgexp-curves&compareRunsMode=CHART"
    assert curves_page(client, "sweep-0") is None


def test_an_older_sweep_does_not_take_the_views_back(record: Record) -> None:
    client = MlflowClient(record.tracking.uri)
    experiment, before = client.get_experiment_by_name("corridor").experiment_id, views(record)
    save_views(client, experiment, "older", before["curves"]["createdAt"] - 1)
    assert views(record) == before
    save_views(client, experiment, "newer", before["curves"]["createdAt"] + 1)
    assert all("'newer'" in view["state"]["searchFilter"] for view in views(record).values())


def test_a_view_that_somebody_else_wrote_under_its_name_is_replaced(record: Record) -> None:
    client = MlflowClient(record.tracking.uri)
    experiment = client.get_experiment_by_name("corridor").experiment_id
    client.set_experiment_tag(experiment, f"{TAG}curves", "no JSON")
    save_views(client, experiment, "ours", 1)
    assert "'ours'" in views(record)["curves"]["state"]["searchFilter"]


def test_the_page_of_the_mlflow_installed_knows_what_the_views_say() -> None:
    """The state's keys, and the tag, stand in the page's own code: a release that drops one fails here."""
    scripts = Path(mlflow.__file__).parent.glob("server/js/build/static/js/*.js")
    code = "".join(path.read_text() for path in scripts)
    states = [json.loads(json.loads(view)["state"]) for view in saved_views("sweep", 1).values()]
    words = {key for state in states for key in state} | {"mlflow.sharedViewState.", "mlflow.runColor", "createdAt"}
    assert {word for word in words if not re.search(rf"\b{re.escape(word)}", code)} == set()
