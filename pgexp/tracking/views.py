"""Saved views of an experiment's page in MLflow's UI: the last sweep's ranking, learning curves and failures.

MLflow stores a saved view as a tag of the experiment. Its value is JSON with the page's state, again as JSON. This is
the format of version 3.17; a version with another format shows no views, and nothing else changes.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pgexp.schema import names
from pgexp.tracking.client import MlflowClient

_TAG: Final = "mlflow.sharedViewState."
RANKING: Final = "pgexp-configurations"
CURVES: Final = "pgexp-curves"
FAILURES: Final = "pgexp-failures"
WIDTH: Final = 170  # pixels of a column, enough for the name of an aggregate


def save_views(client: MlflowClient, experiment: str, sweep: str, started: int) -> None:
    """Save the views of a sweep, unless those of a newer sweep are saved.

    Args:
        client: of the store.
        experiment: its id.
        sweep: its id.
        started: the sweep's start in milliseconds since the epoch.
    """
    tags = client.get_experiment(experiment).tags
    for tag, view in sweep_views(sweep, started).items():
        if _start_of_saved(tags.get(tag)) <= started:
            client.set_experiment_tag(experiment, tag, view)


def curves_page(client: MlflowClient, sweep: str) -> str | None:
    """Return the path in MLflow's UI to a sweep's learning curves, or None if no view of the sweep is saved."""
    for experiment in client.search_experiments():
        if sweep in experiment.tags.get(_TAG + CURVES, ""):
            return f"/#/experiments/{experiment.experiment_id}/runs?viewStateShareKey={CURVES}&compareRunsMode=CHART"
    return None


def sweep_views(sweep: str, started: int) -> dict[str, str]:
    """Return the views of a sweep that started at `started` (ms): the values of experiment tags by name."""
    states = {
        RANKING: ("Last sweep: configurations, best first", _ranking(sweep)),
        CURVES: ("Last sweep: learning curves", _curves(sweep)),
        FAILURES: ("Last sweep: runs that did not finish", _failures(sweep)),
    }
    return {
        _TAG + view: json.dumps({"name": name, "createdAt": started, "updatedAt": started, "state": json.dumps(state)})
        for view, (name, state) in states.items()
    }


def _ranking(sweep: str) -> dict[str, Any]:
    order = (names.SEEDS_IQM, names.SEEDS_LOW, names.SEEDS_HIGH, names.SEEDS_MEAN, names.SEEDS, names.SEEDS_FAILED)
    metrics = [_column("metrics", name) for name in order]
    return {
        **_configurations(sweep, metrics),
        "columnOrder": ["attributes.`Run Name`", *metrics],
        "columnWidths": dict.fromkeys(metrics, WIDTH),
    }


def _curves(sweep: str) -> dict[str, Any]:
    """Return charts of the configurations' learning curves over seeds: the IQM and both ends of its interval."""
    section = {"uuid": "curves", "name": names.OVER_SEEDS.rstrip("/"), "display": True, "isReordered": False}
    return {
        **_configurations(sweep, []),
        "runsHiddenMode": "FIRST_20_RUNS",
        "compareRunCharts": [],  # the page adds one per metric to the section of its group
        "compareRunSections": [section | {"columns": 1, "cardHeight": 400}],
        "chartsSearchFilter": names.CURVE_IQM,
    }


def _configurations(sweep: str, columns: Sequence[str]) -> dict[str, Any]:
    """Return a table of configurations, best first; if it is sorted by a metric, the page does not nest runs."""
    best_first = {"orderByKey": _column("metrics", names.SEEDS_IQM), "orderByAsc": False}
    return _rows(sweep, names.ROLE_CONFIGURATION, columns) | best_first


def _failures(sweep: str) -> dict[str, Any]:
    view = _rows(sweep, names.ROLE_RUN, [_column("tags", names.TAG_REASON), _column("tags", names.TAG_FOLDER)])
    return view | {"searchFilter": f"{view['searchFilter']} and attributes.status != 'FINISHED'"}


def _rows(sweep: str, role: str, columns: Sequence[str]) -> dict[str, Any]:
    tags: Mapping[str, str] = {names.TAG_SWEEP: sweep, names.TAG_ROLE: role}
    condition = " and ".join(f"{_column('tags', tag)} = '{value}'" for tag, value in tags.items())
    return {"searchFilter": condition, "selectedColumns": list(columns)}


def _column(kind: str, name: str) -> str:
    return f"{kind}.`{name}`"


def _start_of_saved(view: str | None) -> int:
    """Return the start of the sweep of a saved view, or 0 if there is none, or pgexp did not save it."""
    try:
        return int(json.loads(view or "{}")["createdAt"])
    except (KeyError, TypeError, ValueError):
        return 0
