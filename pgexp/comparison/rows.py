"""A run as one row of the frame of runs, whatever it was read from."""

from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from pgexp.schema import names

PARAM: Final = "param."
TRUTH: Final = {"True": True, "true": True, "False": False, "false": False}
RUN_COLUMNS: Final = (
    *("run_id", "name", "experiment", "sweep", "environment", "configuration", "configuration_name", "seed"),
    *("status", "start", "threshold", "artifacts", "folder", "code", "dirty", "nonfinite", "reason"),
    *("key", "commit", "biased", "selected_from"),
    names.FINAL_RETURN,
)
TYPES: Final[dict[str, Any]] = {"threshold": float, "nonfinite": float, "dirty": "boolean", names.FINAL_RETURN: float}

Row = dict[str, Any]


def described(tags: Mapping[str, str], params: Mapping[str, str], metrics: Mapping[str, float]) -> Row:
    """Return what a run's tags, parameters and latest metrics say in its row."""
    return {
        "environment": params.get("env.id", ""),
        "seed": int(params["seed"]),
        "threshold": tags.get(names.TAG_THRESHOLD),
        "folder": tags.get(names.TAG_FOLDER, ""),
        "code": tags.get(names.TAG_CODE, ""),
        "dirty": TRUTH.get(tags.get(names.TAG_DIRTY, "")),
        "nonfinite": tags.get(names.TAG_NONFINITE),
        "reason": tags.get(names.TAG_REASON, ""),
        "commit": tags.get(names.TAG_COMMIT, ""),
        "biased": tags.get(names.TAG_BIASED, ""),
        "selected_from": tags.get(names.TAG_SELECTED_FROM, ""),
        **{name: value for name, value in metrics.items() if name.startswith(f"{names.FINAL}/")},
        **{PARAM + name: value for name, value in params.items()},
    }


def framed(rows: list[Row]) -> pd.DataFrame:
    """Return the rows as a frame, RUN_COLUMNS first, each column with its own type."""
    if not rows:
        return pd.DataFrame(columns=list(RUN_COLUMNS))
    frame = pd.DataFrame(rows)
    columns = [*RUN_COLUMNS, *sorted(set(frame.columns) - set(RUN_COLUMNS))]
    frame = frame.reindex(columns=columns).astype(TYPES)
    params = {column: typed(frame[column]) for column in columns if column.startswith(PARAM)}
    return frame.assign(**params)


def typed(texts: "pd.Series[str]") -> "pd.Series[Any]":
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
