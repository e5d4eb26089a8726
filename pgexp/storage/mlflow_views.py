"""Saved views of MLflow's UI, under *Views* on an experiment's page: its last sweep ranked, charted, and what failed.

MLflow keeps a saved view as a tag of the experiment, an envelope around the state of the page, both JSON. That is
how its UI of version 3.17 writes and reads them; a version that does not know them shows no views, and nothing else
changes.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pgexp.schema import names
from pgexp.storage.mlflow_client import MlflowClient

_TAG: Final = "mlflow.sharedViewState."
RANKING: Final = "pgexp-configurations"
CURVES: Final = "pgexp-curves"
FAILURES: Final = "pgexp-failures"
WIDTH: Final = 170  # pixels in which the name of a metric over seeds can be read


def save_views(client: MlflowClient, experiment: str, sweep: str, started: int) -> None:
    """Make the views of an experiment's page those of a sweep, unless they are a newer one's; started is in ms."""
    tags = client.get_experiment(experiment).tags
    for tag, view in saved_views(sweep, started).items():
        if _created(tags.get(tag)) <= started:
            client.set_experiment_tag(experiment, tag, view)


def curves_page(client: MlflowClient, sweep: str) -> str | None:
    """Return what follows the UI's address to see a sweep's learning curves; None if no view is of this sweep."""
    for experiment in client.search_experiments():
        if sweep in experiment.tags.get(_TAG + CURVES, ""):
            return f"/#/experiments/{experiment.experiment_id}/runs?viewStateShareKey={CURVES}&compareRunsMode=CHART"
    return None


def saved_views(sweep: str, started: int) -> dict[str, str]:
    """Return the views of a sweep that started then, in ms: by the tag of the experiment that holds it, its text."""
    states = {
        RANKING: ("Last sweep: configurations, best first", _ranking(sweep)),
        CURVES: ("Last sweep: learning curves", _curves(sweep)),
        FAILURES: ("Last sweep: runs that did not finish", _failures(sweep)),
    }
    return {_TAG + view: _envelope(name, state, started) for view, (name, state) in states.items()}


def _ranking(sweep: str) -> dict[str, Any]:
    order = (names.SEEDS_IQM, names.SEEDS_LOW, names.SEEDS_HIGH, names.SEEDS_MEAN, names.SEEDS, names.SEEDS_FAILED)
    metrics = [_column("metrics", name) for name in order]
    widths = dict.fromkeys(metrics, WIDTH)
    return {
        **_rows(sweep, names.ROLE_CONFIGURATION, metrics),
        "orderByKey": metrics[0],
        "orderByAsc": False,
        "columnOrder": ["attributes.`Run Name`", *metrics],
        "columnWidths": widths,
    }


def _curves(sweep: str) -> dict[str, Any]:
    """Return the charts of the configurations' learning curves over seeds: the IQM, and both ends of its interval."""
    section = {"uuid": "curves", "name": names.OVER_SEEDS.rstrip("/"), "display": True, "isReordered": False}
    return {
        **_configurations(sweep, []),
        "runsHiddenMode": "FIRST_20_RUNS",
        "compareRunCharts": [],  # the page adds one for each metric, into the section of its group
        "compareRunSections": [section | {"columns": 1, "cardHeight": 400}],
        "chartsSearchFilter": names.CURVE_IQM,
    }


def _configurations(sweep: str, columns: Sequence[str]) -> dict[str, Any]:
    """Return what shows the configurations, the best first; in the order of a metric, the page doesn't nest them."""
    best_first = {"orderByKey": _column("metrics", names.SEEDS_IQM), "orderByAsc": False}
    return _rows(sweep, names.ROLE_CONFIGURATION, columns) | best_first


def _failures(sweep: str) -> dict[str, Any]:
    view = _rows(sweep, names.ROLE_RUN, [_column("tags", names.TAG_REASON), _column("tags", names.TAG_FOLDER)])
    return view | {"searchFilter": f"{view['searchFilter']} and attributes.status != 'FINISHED'"}


def _rows(sweep: str, role: str, columns: Sequence[str]) -> dict[str, Any]:
    wanted = {names.TAG_SWEEP: sweep, names.TAG_ROLE: role}
    condition = " and ".join(f"{_column('tags', tag)} = '{value}'" for tag, value in wanted.items())
    return {"searchFilter": condition, "selectedColumns": list(columns)}


def _column(kind: str, name: str) -> str:
    return f"{kind}.`{name}`"


def _envelope(name: str, state: Mapping[str, Any], started: int) -> str:
    return json.dumps({"name": name, "createdAt": started, "updatedAt": started, "state": json.dumps(state)})


def _created(view: str | None) -> int:
    """Return when the sweep of a view that an experiment has started; 0 for none, or one that is not ours."""
    try:
        return int(json.loads(view or "{}")["createdAt"])
    except (KeyError, TypeError, ValueError):
        return 0
