"""Small comparisons for reports."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pgexp.comparison import across_environments, pairwise
from pgexp.comparison.comparison import Comparison
from pgexp.comparison.curves import CURVE_COLUMNS
from pgexp.comparison.frames import METRIC_COLUMNS
from pgexp.comparison.summary import SUMMARY_COLUMNS
from pgexp.schema.names import FINAL_RETURN

Row = dict[str, Any]

SCORES = {"baseline=none": (96.5, 120.25, 88.0), "baseline=mean": (210.0, 260.5, 241.0)}
SOURCE = {"experiment": "e", "sweep": "s1", "artifacts": "/nowhere", "folder": "/nowhere", "code": "c0de" * 16}
RECORDED = {"dirty": False, "nonfinite": np.nan, "reason": "", "commit": "f" * 40, "biased": "", "exclusion": ""}
SETTINGS = {"param.budget.steps": 20_000, "param.optimizer": "adam", "param.evaluation.final_episodes": 100}


def run_rows(scores: Mapping[str, Sequence[float]], environment: str = "CartPole-v1", **more: object) -> list[Row]:
    """Return a row per configuration and seed; `more` are additional columns."""
    rows = []
    for name, own in scores.items():
        named = {"environment": environment, "configuration": f"{name} {environment}", "configuration_name": name}
        ended = {"status": "FINISHED", "start": pd.Timestamp(0, tz="UTC"), "threshold": 475.0}
        params = {"param.baseline": name.partition("=")[2], "param.env.id": environment}
        for seed, score in enumerate(own):
            ids = {"run_id": f"{name}/{environment}/{seed}", "name": f"{name} seed={seed}", "key": f"{seed}abc"}
            scored = {"seed": seed, "param.seed": seed, FINAL_RETURN: score}
            rows.append(SOURCE | RECORDED | SETTINGS | named | ended | params | ids | scored | more)
    return rows


def summary_row(name: str, environment: str = "CartPole-v1", **values: object) -> Row:
    methods = {"mean_method": "Student's t", "iqm_method": "trimmed-mean t", "median_method": "order statistics"}
    counts = {"n": 3, "ended": 3, "failed": 0, "collapsed": 0}
    return {"environment": environment, "configuration_name": name, "caveat": ""} | methods | counts | values


def difference_row(name: str, reference: str, environment: str = "CartPole-v1", **values: object) -> Row:
    pair = {"environment": environment, "configuration_name": name, "reference": reference, "n": 3, "n_reference": 3}
    test = {"paired": True, "test": "paired t test", "family": 1, "estimate": "mean", "caveat": ""}
    return pair | test | {"verdict": f"{name} beats {reference}."} | values


def framed(rows: Sequence[Row], columns: Sequence[str], whole: Sequence[str] = ()) -> pd.DataFrame:
    return pd.DataFrame(list(rows)).reindex(columns=list(columns)).astype(dict.fromkeys(whole, "Int64"))


def summaries(*rows: Row) -> pd.DataFrame:
    return framed(rows, SUMMARY_COLUMNS, ("n", "ended", "failed", "collapsed", "reached", "followed"))


def differing(*rows: Row) -> pd.DataFrame:
    return framed(rows, pairwise.COLUMNS, ("n", "n_reference", "family"))


NONE = summary_row("baseline=none", iqm=99.25, iqm_low=60.0, iqm_high=140.5, mean=101.58, min=88.0, max=120.25)
MEAN = summary_row("baseline=mean", iqm=238.0, iqm_low=170.0, iqm_high=305.0, mean=237.17, min=210.0, max=260.5)
PAIR = difference_row("baseline=mean", "baseline=none", difference=135.59, low=95.0, high=176.2, p=0.005, p_holm=0.005)


def comparison(**parts: Any) -> Comparison:
    """Return a comparison of two configurations on CartPole with some other fields."""
    fields: dict[str, Any] = {
        "runs": pd.DataFrame(run_rows(SCORES)),
        "metrics": framed([], METRIC_COLUMNS).astype({"steps": float, "value": float}),
        "summary": summaries(NONE, MEAN),
        "differences": differing(PAIR),
        "curves": framed([], CURVE_COLUMNS),
        "environments": framed([], across_environments.COLUMNS),
        "scale": framed([], across_environments.SCALE_COLUMNS),
        "best": pd.DataFrame(columns=["environment", "configurations", "configuration_name", "n", "mean", "bias"]),
        "notes": [],
        "sweeps": ["s1"],
        "uri": "sqlite:///mlflow.db",
        "command": "pgexp-compare s1 --report",
    }
    return Comparison(**fields | parts)
