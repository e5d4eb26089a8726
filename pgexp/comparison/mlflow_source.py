"""Runs and sweeps of an MLflow store."""

import gc
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

import pandas as pd

from pgexp.comparison.mlflow_store import display_uri, open_store
from pgexp.comparison.run_frame import Row, run_row
from pgexp.schema import names
from pgexp.schema.errors import UserError

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

_MAX_IDS: Final = 500  # run ids per query: databases limit the number of values


def sweep_rows(uri: str, experiment: str | None) -> list[Row]:
    """Return the rows of the sweeps of an experiment, or of all experiments."""
    with open_store(uri) as client:
        condition = _with_tags({names.TAG_ROLE: names.ROLE_SWEEP})
        return [_common_columns(run, name) for run, name in _search(client, experiment, condition)]


def find_sweep(text: str, known: pd.DataFrame) -> str:
    """Return the sweep whose id is the text, or is the only one that begins with it.

    known holds the store's sweeps, as `frames.sweeps` returns them. Raises UserError if the sweep does not exist.
    """
    ids = [str(sweep) for sweep in known["sweep"]]
    matches = [text] if text in ids else [sweep for sweep in ids if sweep.startswith(text)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        listed = ", ".join(matches[:3]) + (", ..." if len(matches) > 3 else "")
        raise UserError.at("SWEEP", f"{len(matches)} sweeps begin with {text!r}. Write more of {listed}")
    if not ids:
        raise UserError.at("SWEEP", f"unknown sweep {text!r}. The store has no sweeps")
    nearest = get_close_matches(text, ids, n=3, cutoff=0)
    raise UserError.at("SWEEP", f"unknown sweep {text!r}. Did you mean {', '.join(nearest)}?")


def run_rows(
    uri: str, experiment: str | None, sweeps: Collection[str] | None, ids: Collection[str] | None
) -> list[Row]:
    """Return the rows of the seed runs of some sweeps, or with some ids, or of all; each run once.

    A run that a sweep reuses from another is a row as its own, unless the other sweep is listed before it.
    """
    with open_store(uri) as client, _without_garbage_collection():
        if sweeps is not None:
            rows = [row for sweep in sweeps for row in _rows_of_sweep(client, experiment, sweep)]
        else:
            rows = _rows(client, experiment, ids)
    found = {row["run_id"]: row for row in reversed(rows)}
    for run in ids or ():
        if run not in found:
            raise UserError.at(
                "--runs", f"{display_uri(uri)} has no seed run {run} among those selected. Use another run id"
            )
    return [row for run, row in found.items() if ids is None or run in ids]


def _rows_of_sweep(client: "MlflowClient", experiment: str | None, sweep: str) -> list[Row]:
    """Return the rows of a sweep's own runs and of those that it reuses, with this sweep's configuration names."""
    rows = _rows(client, experiment, tags={names.TAG_SWEEP: sweep})
    reused = _rows(client, experiment, tags={names.member_tag(sweep): names.REUSED})
    if not reused:
        return rows
    configurations = _with_tags({names.TAG_ROLE: names.ROLE_CONFIGURATION, names.TAG_SWEEP: sweep})
    tags = [run.data.tags for run, _ in _search(client, experiment, configurations)]
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
    condition, wanted = _with_tags({names.TAG_ROLE: names.ROLE_RUN} | dict(tags or {})), list(ids or ())
    batches = [wanted[at : at + _MAX_IDS] for at in range(0, len(wanted), _MAX_IDS)]
    among = [f" and attributes.run_id IN ({', '.join(map(repr, batch))})" for batch in batches]
    found = [
        each for ending in ([""] if ids is None else among) for each in _search(client, experiment, condition + ending)
    ]
    # A run that is being created has no parameters for a moment.
    return [_row(run, name) for run, name in found if "seed" in run.data.params]


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Pause the garbage collector while MLflow creates its objects.

    There are a hundred per run, all are alive until the last exists, and scanning them takes longer than creating them.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _with_tags(tags: Mapping[str, str]) -> str:
    return " and ".join(f"tags.`{tag}` = '{value}'" for tag, value in tags.items())


def _search(client: "MlflowClient", experiment: str | None, condition: str) -> Iterator[tuple["Run", str]]:
    """Yield the runs that meet a condition, each with the name of its experiment."""
    from pgexp.tracking.client import search_runs

    known = {each.experiment_id: each.name for each in client.search_experiments()}
    chosen = {key: value for key, value in known.items() if experiment in (None, value)}
    if not chosen:
        raise UserError.at(
            "--experiment", f"unknown experiment {experiment!r}. The store has {', '.join(sorted(known.values()))}"
        )
    for run in search_runs(client, list(chosen), condition):
        yield run, chosen[run.info.experiment_id]


def _common_columns(run: "Run", experiment: str) -> Row:
    tags, status = run.data.tags, str(run.info.status)
    return {
        "name": run.info.run_name,
        "experiment": experiment,
        "sweep": tags.get(names.TAG_SWEEP),
        # MLflow has no status for a pruned run: it is recorded as killed and tagged.
        "status": "PRUNED" if names.TAG_PRUNED in tags and status == "KILLED" else status,
        "start": pd.Timestamp(run.info.start_time, unit="ms", tz="UTC"),
    }


def _row(run: "Run", experiment: str) -> Row:
    tags = run.data.tags
    return {
        **_common_columns(run, experiment),
        "run_id": run.info.run_id,
        "key": tags.get(names.TAG_KEY, ""),
        "configuration": tags.get(names.TAG_CONFIGURATION, run.info.run_id),
        "configuration_name": tags.get(names.TAG_CONFIGURATION_NAME, ""),
        "artifacts": run.info.artifact_uri,
        **run_row(tags, run.data.params, run.data.metrics),
    }
