"""Frame of seed runs: a row per run from any source, typed parameters, and names of configurations."""

import re
from collections.abc import Collection, Mapping
from typing import Any, Final

import pandas as pd

from pgexp.schema import names

PARAM: Final = "param."
RUN_COLUMNS: Final = (
    *("run_id", "name", "experiment", "sweep", "environment", "configuration", "configuration_name", "seed"),
    *("status", "start", "threshold", "artifacts", "folder", "code", "dirty", "nonfinite", "reason"),
    *("key", "commit", "biased", "selected_from"),
    names.FINAL_RETURN,
)
_BOOLEANS: Final = {"True": True, "true": True, "False": False, "false": False}
_TYPES: Final[dict[str, Any]] = {"threshold": float, "nonfinite": float, "dirty": "boolean", names.FINAL_RETURN: float}
_NUMBER: Final = re.compile(r"(\d+\.?\d*(?:e[+-]?\d+)?)")

Row = dict[str, Any]


def run_row(tags: Mapping[str, str], params: Mapping[str, str], metrics: Mapping[str, float]) -> Row:
    """Return the part of a run's row that comes from its tags, parameters and latest metrics."""
    return {
        "environment": params.get("env.id", ""),
        "seed": int(params["seed"]),
        "threshold": tags.get(names.TAG_THRESHOLD),
        "folder": tags.get(names.TAG_FOLDER, ""),
        "code": tags.get(names.TAG_CODE, ""),
        "dirty": _BOOLEANS.get(tags.get(names.TAG_DIRTY, "")),
        "nonfinite": tags.get(names.TAG_NONFINITE),
        "reason": tags.get(names.TAG_REASON, ""),
        "commit": tags.get(names.TAG_COMMIT, ""),
        "biased": tags.get(names.TAG_BIASED, ""),
        "selected_from": tags.get(names.TAG_SELECTED_FROM, ""),
        **{name: value for name, value in metrics.items() if name.startswith(f"{names.FINAL}/")},
        **{PARAM + name: value for name, value in params.items()},
    }


def run_frame(rows: list[Row]) -> pd.DataFrame:
    """Return the rows as a frame with RUN_COLUMNS first and typed columns."""
    if not rows:
        return pd.DataFrame(columns=list(RUN_COLUMNS))
    frame = pd.DataFrame(rows)
    columns = [*RUN_COLUMNS, *sorted(set(frame.columns) - set(RUN_COLUMNS))]
    frame = frame.reindex(columns=columns).astype(_TYPES)
    return frame.assign(**{column: typed(frame[column]) for column in columns if column.startswith(PARAM)})


def typed(texts: "pd.Series[str]") -> "pd.Series[Any]":
    """Return recorded parameters as booleans, integers or floats if the whole column has that type.

    MLflow stores parameters as text. A missing parameter and None become missing values of the column's type.
    """
    texts = texts.mask(texts == "None")
    known = texts.dropna()
    if known.isin(list(_BOOLEANS)).all():
        return texts.map(_BOOLEANS).astype("boolean")
    numbers = pd.to_numeric(texts, errors="coerce")
    if numbers.count() < len(known):
        return texts
    return numbers.astype("Int64" if known.str.fullmatch(r"[+-]?\d+").all() else float)


def configuration_names(runs: pd.DataFrame) -> "pd.Series[str]":
    """Return a unique name of each run's configuration.

    Within one sweep this is the recorded name, which lists the parameters that differ there. For several sweeps it is
    built from the parameters in which the frame's configurations differ. If two names are equal, the beginning of the
    configuration's key is added.
    """
    called, keys = runs["configuration_name"], runs["configuration"]
    if runs["sweep"].isna().any() or runs["sweep"].nunique() > 1:
        rows = differing_parameters(runs).to_dict("index")
        differences = keys.map({key: join_parameters({str(k): v for k, v in row.items()}) for key, row in rows.items()})
        called = differences.mask(differences == "", called)
    called = called.groupby(keys).transform("first")
    shared = keys.groupby(called).transform("nunique") > 1
    return called.mask(shared | (called == ""), (called + " " + keys.str[:6]).str.strip())


def differing_parameters(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the parameters (without the seed) that distinguish the frame's configurations: a row per configuration.

    A parameter that only one option has is included only if it varies: ``baseline.lr`` belongs to baseline=value, so
    its absence from baseline=none does not count.
    """
    columns = [str(column) for column in runs if str(column).startswith(PARAM) and column != f"{PARAM}seed"]
    first = runs.groupby("configuration", sort=False)[columns].first()
    varying = {name for name in columns if first[name].nunique() > 1}
    partial = {name for name in columns if first[name].isna().any() and first[name].notna().any()}
    return first[
        [name for name in columns if name in varying or (name in partial and option_of(name, varying) is None)]
    ]


def option_of(column: str, among: Collection[str]) -> str | None:
    """Return the nearest option that a parameter belongs to: param.baseline for param.baseline.lr."""
    parts = column.split(".")
    above = (".".join(parts[:length]) for length in range(len(parts) - 1, 1, -1))
    return next((option for option in above if option in among), None)


def join_parameters(parameters: Mapping[str, Any]) -> str:
    """Return ``lr=0.1 gamma=0.9``: the parameters that a configuration has."""
    return " ".join(f"{name.removeprefix(PARAM)}={value}" for name, value in parameters.items() if pd.notna(value))


def natural_key(text: str) -> tuple[str | float, ...]:
    """Return a sort key that orders numbers in texts by size: n=9 before n=10, 3e-4 before 0.001."""
    parts = _NUMBER.split(text)  # text, number, text, ...: every key has the same type at the same index
    return tuple(float(part) if place % 2 else part for place, part in enumerate(parts))
