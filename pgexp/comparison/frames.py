"""The store as tidy frames: its sweeps, their seed runs, and the runs' metrics at full resolution."""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pandas as pd

from pgexp.comparison.labels import configuration_names, natural
from pgexp.comparison.store import DEFAULT_URI, ComparisonError, opened
from pgexp.schema import names
from pgexp.storage.tables import read_metrics

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

PAGE: Final = 1000  # runs asked for at once
PARAM: Final = "param."
TRUTH: Final = {"True": True, "true": True, "False": False, "false": False}
SWEEP_COLUMNS: Final = ("sweep", "name", "experiment", "status", "start")
RUN_COLUMNS: Final = (
    *("run_id", "name", "experiment", "sweep", "environment", "configuration", "configuration_name", "seed"),
    *("status", "start", "threshold", "artifacts", names.FINAL_RETURN),
)
METRIC_COLUMNS: Final = ("run_id", "configuration_name", "seed", "steps", "metric", "value")


def sweeps(uri: str = DEFAULT_URI, experiment: str | None = None) -> pd.DataFrame:
    """Return the sweeps of an experiment, or of the whole store, newest first: a row a sweep."""
    with opened(uri) as client:
        found = list(_search(client, experiment, {names.TAG_ROLE: names.ROLE_SWEEP}))
    rows = [_identity(run, experiment_name) for run, experiment_name in found]
    frame = pd.DataFrame(rows, columns=list(SWEEP_COLUMNS))
    return frame.sort_values(["start", "sweep"], ascending=[False, True], ignore_index=True)


def runs(uri: str = DEFAULT_URI, experiment: str | None = None, sweep: str | None = None) -> pd.DataFrame:
    """Return the seed runs of a sweep, or all of the experiment or store: a row a run, whatever its end.

    A run of another sweep that this one reuses is a row as if it were this one's.

    The columns are RUN_COLUMNS, then every metric of the final evaluation under its own name, then every
    parameter as ``param.*`` with its own type. `threshold` and the scores are NaN where absent. A
    `configuration_name` belongs to one configuration only. Rows are in the order of environment,
    configuration name (numbers by size), seed and start.
    """
    with opened(uri) as client:
        tags = {names.TAG_ROLE: names.ROLE_RUN} | ({names.TAG_SWEEP: sweep} if sweep else {})
        rows = _rows(client, experiment, tags)
        if sweep:
            rows += _reused(client, experiment, sweep)
    if not rows:
        return pd.DataFrame(columns=list(RUN_COLUMNS))
    frame = pd.DataFrame(rows)
    columns = [*RUN_COLUMNS, *sorted(set(frame.columns) - set(RUN_COLUMNS))]
    frame = frame.reindex(columns=columns).astype({"threshold": float, names.FINAL_RETURN: float})
    for column in (column for column in columns if column.startswith(PARAM)):
        frame[column] = _typed(frame[column])
    frame["configuration_name"] = configuration_names(frame)
    return _ordered(frame)


def metrics(runs: pd.DataFrame, uri: str = DEFAULT_URI) -> pd.DataFrame:
    """Return every recorded value of the runs, long: one row a run, metric and step, METRIC_COLUMNS.

    They are read from each run's Parquet artifact, since the metrics in MLflow itself are thinned. A run that
    has no such artifact (it has not ended) has no rows here. uri is asked only for artifacts that stand on
    another machine.
    """
    frames = []
    with tempfile.TemporaryDirectory() as scratch:
        for run in runs.to_dict("records"):
            path = _metrics_file(run["run_id"], run["artifacts"], uri, Path(scratch))
            if path is not None:
                frames.append(_long(path).assign(**{key: run[key] for key in METRIC_COLUMNS[:3]}))
    long = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
    return long.reindex(columns=list(METRIC_COLUMNS))


def _search(client: "MlflowClient", experiment: str | None, tags: Mapping[str, str]) -> Iterator[tuple["Run", str]]:
    """Yield the runs that carry the tags, page by page, each with the name of its experiment."""
    experiments = _experiments(client, experiment)
    condition = " and ".join(f"tags.`{tag}` = '{value}'" for tag, value in tags.items())
    token = None
    while True:
        page = client.search_runs(list(experiments), condition, max_results=PAGE, page_token=token)
        yield from ((run, experiments[run.info.experiment_id]) for run in page)
        token = page.token
        if not token:
            return


def _rows(client: "MlflowClient", experiment: str | None, tags: Mapping[str, str]) -> list[dict[str, object]]:
    # A run that is being created has no parameters for a moment.
    return [_row(run, name) for run, name in _search(client, experiment, tags) if "seed" in run.data.params]


def _reused(client: "MlflowClient", experiment: str | None, sweep: str) -> list[dict[str, object]]:
    """Return the rows of the runs that a sweep reuses, their configurations called as it calls them."""
    rows = _rows(client, experiment, {names.member_tag(sweep): names.REUSED, names.TAG_ROLE: names.ROLE_RUN})
    if not rows:
        return []
    ours = {names.TAG_ROLE: names.ROLE_CONFIGURATION, names.TAG_SWEEP: sweep}
    tags = [run.data.tags for run, _ in _search(client, experiment, ours)]
    called = {tag[names.TAG_CONFIGURATION]: tag[names.TAG_CONFIGURATION_NAME] for tag in tags}
    return [
        row | {"sweep": sweep, "configuration_name": called.get(str(row["configuration"]), row["configuration_name"])}
        for row in rows
    ]


def _experiments(client: "MlflowClient", name: str | None) -> dict[str, str]:
    """Return the names of the experiments to look in, by id; ComparisonError for a name not in the store."""
    known = {experiment.experiment_id: experiment.name for experiment in client.search_experiments()}
    chosen = {key: value for key, value in known.items() if name in (None, value)}
    if not chosen:
        raise ComparisonError(f"there is no experiment {name!r} here: name one of {', '.join(sorted(known.values()))}")
    return chosen


def _identity(run: "Run", experiment: str) -> dict[str, object]:
    return {
        "name": run.info.run_name,
        "experiment": experiment,
        "sweep": run.data.tags.get(names.TAG_SWEEP),
        "status": run.info.status,
        "start": pd.Timestamp(run.info.start_time, unit="ms", tz="UTC"),
    }


def _row(run: "Run", experiment: str) -> dict[str, object]:
    tags, params = run.data.tags, run.data.params
    final = {name: value for name, value in run.data.metrics.items() if name.startswith(f"{names.FINAL}/")}
    return {
        **_identity(run, experiment),
        "run_id": run.info.run_id,
        "environment": params.get("env.id", ""),
        "configuration": tags.get(names.TAG_CONFIGURATION, run.info.run_id),
        "configuration_name": tags.get(names.TAG_CONFIGURATION_NAME, ""),
        "seed": int(params["seed"]),
        "threshold": tags.get(names.TAG_THRESHOLD),
        "artifacts": run.info.artifact_uri,
        **final,
        **{PARAM + name: value for name, value in params.items()},
    }


def _typed(texts: "pd.Series[str]") -> "pd.Series[Any]":
    """Return recorded parameters as truth values, integers or floats, where the whole column reads as such.

    MLflow keeps parameters as text. A missing parameter and None are missing values of the column's type.
    """
    texts = texts.mask(texts == "None")
    known = texts.dropna()
    if known.isin(list(TRUTH)).all():
        return texts.map(TRUTH).astype("boolean")
    numbers = pd.to_numeric(texts, errors="coerce")
    if numbers.count() < len(known):
        return texts
    whole = known.str.fullmatch(r"[+-]?\d+").all()
    return numbers.astype("Int64" if whole else float)


def _ordered(frame: pd.DataFrame) -> pd.DataFrame:
    keys = ["environment", "configuration_name", "seed", "start", "run_id"]
    rows = list(frame[keys].itertuples(index=False, name=None))
    order = sorted(range(len(rows)), key=lambda row: (rows[row][0], natural(rows[row][1]), *rows[row][2:]))
    return frame.iloc[order].reset_index(drop=True)


def _metrics_file(run_id: str, artifacts: str, uri: str, scratch: Path) -> Path | None:
    """Return where the run's Parquet file stands, fetched into scratch if need be; None where it has none."""
    location = urlsplit(artifacts)
    if location.scheme in ("", "file"):
        path = Path(url2pathname(location.path)) / names.METRICS_FILE
        return path if path.is_file() else None
    with opened(uri) as client:
        if names.METRICS_FILE not in {artifact.path for artifact in client.list_artifacts(run_id)}:
            return None
        folder = scratch / run_id
        folder.mkdir()
        return Path(client.download_artifacts(run_id, names.METRICS_FILE, str(folder)))


def _long(path: Path) -> pd.DataFrame:
    try:
        wide: pd.DataFrame = read_metrics(path).to_pandas()
    except (OSError, ValueError) as error:
        raise ComparisonError(f"{path} can't be read: resume or delete its run ({error})") from error
    return wide.melt(id_vars="steps", var_name="metric", value_name="value").dropna(subset="value")
