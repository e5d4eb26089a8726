"""The runs that an MLflow store holds: its sweeps, and the seed runs that are asked for."""

import gc
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import pandas as pd

from pgexp.comparison.rows import Row, described
from pgexp.comparison.store import ComparisonError, opened, shown
from pgexp.schema import names

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

_IDS: Final = 500  # of runs that one question names: a database takes no more than so many values


def sweep_rows(uri: str, experiment: str | None) -> list[Row]:
    """Return what the store says of the sweeps of an experiment, or of all."""
    with opened(uri) as client:
        tags = {names.TAG_ROLE: names.ROLE_SWEEP}
        return [_identity(run, name) for run, name in _search(client, experiment, _carrying(tags))]


def run_rows(
    uri: str, experiment: str | None, sweeps: Collection[str] | None, ids: Collection[str] | None
) -> list[Row]:
    """Return the rows of the seed runs of some sweeps, or of some ids, or of all; each once.

    A run that one sweep reuses of another is a row as if it were its own, unless the other is chosen before it.
    """
    with opened(uri) as client, _uncollected():
        if sweeps is not None:
            rows = [row for sweep in sweeps for row in _of_sweep(client, experiment, sweep)]
        else:
            rows = _rows(client, experiment, ids)
    found = {row["run_id"]: row for row in reversed(rows)}
    for run in ids or ():
        if run not in found:
            raise ComparisonError(f"{shown(uri)} holds no seed's run {run} of those chosen: name others, or none")
    return [row for run, row in found.items() if ids is None or run in ids]


def _of_sweep(client: "MlflowClient", experiment: str | None, sweep: str) -> list[Row]:
    """Return the rows of a sweep's own runs and of those that it reuses, their configurations called as it does."""
    rows = _rows(client, experiment, tags={names.TAG_SWEEP: sweep})
    reused = _rows(client, experiment, tags={names.member_tag(sweep): names.REUSED})
    if not reused:
        return rows
    ours = _carrying({names.TAG_ROLE: names.ROLE_CONFIGURATION, names.TAG_SWEEP: sweep})
    tags = [run.data.tags for run, _ in _search(client, experiment, ours)]
    called = {tag[names.TAG_CONFIGURATION]: tag[names.TAG_CONFIGURATION_NAME] for tag in tags}
    return rows + [
        row | {"sweep": sweep, "configuration_name": called.get(row["configuration"], row["configuration_name"])}
        for row in reused
    ]


def _rows(
    client: "MlflowClient",
    experiment: str | None,
    ids: Collection[str] | None = None,
    tags: Mapping[str, str] | None = None,
) -> list[Row]:
    condition = _carrying({names.TAG_ROLE: names.ROLE_RUN} | dict(tags or {}))
    asked = list(ids or ())
    some = [""] if ids is None else [_named(asked[at : at + _IDS]) for at in range(0, len(asked), _IDS)]
    found = [each for named in some for each in _search(client, experiment, condition + named)]
    # A run that is being created has no parameters for a moment.
    return [_row(run, name) for run, name in found if "seed" in run.data.params]


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep the garbage collector from looking again and again through the objects that MLflow makes of each run.

    They are a hundred a run, none of them is garbage before the last is made, and looking takes longer than making.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _carrying(tags: Mapping[str, str]) -> str:
    return " and ".join(f"tags.`{tag}` = '{value}'" for tag, value in tags.items())


def _named(ids: Collection[str]) -> str:
    return f" and attributes.run_id IN ({', '.join(repr(run) for run in ids)})"


def _search(client: "MlflowClient", experiment: str | None, condition: str) -> Iterator[tuple["Run", str]]:
    """Yield the runs that meet a condition, each with the name of its experiment."""
    from pgexp.storage.mlflow_client import found_runs

    experiments = _experiments(client, experiment)
    for run in found_runs(client, list(experiments), condition):
        yield run, experiments[run.info.experiment_id]


def _experiments(client: "MlflowClient", name: str | None) -> dict[str, str]:
    """Return the names of the experiments to look in, by id; ComparisonError for a name not in the store."""
    known = {experiment.experiment_id: experiment.name for experiment in client.search_experiments()}
    chosen = {key: value for key, value in known.items() if name in (None, value)}
    if not chosen:
        raise ComparisonError(f"there is no experiment {name!r} here: name one of {', '.join(sorted(known.values()))}")
    return chosen


def _identity(run: "Run", experiment: str) -> Row:
    return {
        "name": run.info.run_name,
        "experiment": experiment,
        "sweep": run.data.tags.get(names.TAG_SWEEP),
        "status": run.info.status,
        "start": pd.Timestamp(run.info.start_time, unit="ms", tz="UTC"),
    }


def _row(run: "Run", experiment: str) -> Row:
    tags = run.data.tags
    return {
        **_identity(run, experiment),
        "run_id": run.info.run_id,
        "key": tags.get(names.TAG_KEY, ""),
        "configuration": tags.get(names.TAG_CONFIGURATION, run.info.run_id),
        "configuration_name": tags.get(names.TAG_CONFIGURATION_NAME, ""),
        "artifacts": run.info.artifact_uri,
        **described(tags, run.data.params, run.data.metrics),
    }
