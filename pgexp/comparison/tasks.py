"""Several environments at once: what the same configuration scores over all of them, normalised."""

from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from pgexp.comparison.counting import exclusions
from pgexp.comparison.store import ComparisonError
from pgexp.schema import names
from pgexp.statistics.estimating import Name
from pgexp.statistics.intervals import FloatArray
from pgexp.statistics.tasks import estimate_over_tasks

ESTIMATES: Final[tuple[Name, ...]] = ("mean", "median", "iqm", "optimality_gap")
CALLED: Final[dict[Name, str]] = {"mean": "mean", "median": "median", "iqm": "IQM", "optimality_gap": "optimality gap"}
COLUMNS: Final = (
    *("configuration_name", "environments", "n"),
    *(f"{name}{end}" for name in ESTIMATES for end in ("", "_low", "_high")),
    *("method", "caveat"),
)
SCALE: Final = ("environment", "low", "high")
ONE: Final = "(one configuration)"  # what the only one of each environment is called


def tasks(runs: pd.DataFrame, scale: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return a row a configuration that has scores on every environment, COLUMNS, from `frames.runs`.

    A configuration is what is left of the names without the environment (`settings`). Scores are normalised by
    environment, to 0 at its low and 1 at its high (`scale_of`). Over the environments mean, median and iqm are then
    `estimate_over_tasks`'s, and optimality_gap is how far the scores stay below 1, each with its 95 % interval, which
    `caveat` limits; n is the number of runs. Without a second environment, or where one's scores are all equal, there
    is no row.

    ComparisonError where the scale lacks an environment.
    """
    scored = _scored(runs)
    ends = scale_of(runs, scale).set_index("environment")
    if len(ends) < 2 or (ends["low"] >= ends["high"]).any():
        return pd.DataFrame(columns=list(COLUMNS))
    low, high = (scored["environment"].map(ends[end]).astype(float) for end in ("low", "high"))
    scored = scored.assign(normalised=(scored[names.FINAL_RETURN] - low) / (high - low))
    rows = []
    for name, own in scored.groupby("setting", sort=False):
        by_task = [task["normalised"].to_numpy() for _, task in own.groupby("environment", sort=False, observed=True)]
        if len(by_task) == len(ends):
            rows.append({"configuration_name": name, "environments": len(ends), "n": len(own), **_over(by_task)})
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(dict.fromkeys(COLUMNS[3:-2], float))


def scale_of(runs: pd.DataFrame, scale: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return what is 0 and 1 on each environment on which a run has a score, a row an environment, SCALE.

    They are the ends of the scale that is given (`read_scale`), or else the least and the greatest score among the
    runs; with one environment, which needs no scale, always these. ComparisonError where a scale lacks an environment.
    """
    by_environment = _scored(runs).groupby("environment", sort=False)[names.FINAL_RETURN]
    seen = pd.DataFrame({"low": by_environment.min(), "high": by_environment.max()})
    if scale is None or len(seen) < 2:
        return seen.reset_index()
    missing = [environment for environment in seen.index if environment not in scale["environment"].tolist()]
    if missing:
        raise ComparisonError(f"the scale has no line for {', '.join(missing)}: add environment, low and high")
    return scale.set_index("environment")[["low", "high"]].loc[seen.index].reset_index()


def tasks_notes(runs: pd.DataFrame, scale: pd.DataFrame | None = None) -> list[str]:
    """Return how the environments are made comparable, and what is not averaged over them."""
    scored = _scored(runs)
    ends = scale_of(runs, scale).set_index("environment")
    if len(ends) < 2:
        return [] if scale is None else ["The scale has no part in this: there is one environment."]
    flat = ends.index[ends["low"] >= ends["high"]]
    if len(flat):
        return [f"Nothing is averaged over environments: all scores are equal on {', '.join(flat)}."]
    covered = scored.groupby("setting", sort=False)["environment"].nunique()
    lacking = covered.index[covered < len(ends)].tolist()
    notes = [f"Not averaged over environments, for want of scores on each: {', '.join(lacking)}."] if lacking else []
    without = [str(name) for name in runs["environment"].unique() if name not in ends.index]
    if without:
        notes.append(f"The averages over environments are without {', '.join(without)}, where no run has a score.")
    if scale is None and len(lacking) < len(covered):
        notes.append(
            "Over environments, 0 and 1 are the least and the greatest score among these runs: "
            "other runs move them, which a scale that is given (--scale FILE) does not."
        )
    return notes


def read_scale(path: Path) -> pd.DataFrame:
    """Return the scale of a CSV file with the columns environment, low and high: which returns are 0 and 1.

    ComparisonError for a file that is no such table.
    """
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise ComparisonError(f"the scale {path} can't be read ({error}): name a CSV file by --scale") from error
    if not set(SCALE) <= set(table.columns):
        raise ComparisonError(f"the scale {path} needs the columns {', '.join(SCALE)}, not {', '.join(table.columns)}")
    ends = table[["low", "high"]].apply(pd.to_numeric, errors="coerce").astype(float)
    wrong = ~np.isfinite(ends).all(axis=1) | (ends["low"] >= ends["high"]) | table["environment"].duplicated()
    if wrong.any():
        row = int(wrong.to_numpy().argmax()) + 2
        raise ComparisonError(f"line {row} of the scale {path}: low and high are numbers, low below high, once each")
    return table[["environment"]].astype(str).assign(low=ends["low"], high=ends["high"])


def settings(runs: pd.DataFrame) -> "pd.Series[str]":
    """Return, by the name of each configuration, the part of it that does not name the environment.

    ``env=acrobot baseline=value`` is ``baseline=value`` on Acrobot. What belongs to `env` is left out where all
    of an environment's configurations have it. With one environment it is the whole name.
    """
    own = runs[["environment", "configuration_name"]].drop_duplicates().astype(str)
    called = pd.Series(own["configuration_name"].to_numpy(), index=own["configuration_name"].to_numpy())
    if own["environment"].nunique() < 2:
        return called
    for _, rows in own.groupby("environment", sort=False):
        words = [set(name.split(" ")) for name in rows["configuration_name"]]
        shared = {word for word in set.intersection(*words) if _of_environment(word)}
        for name in rows["configuration_name"]:
            called[name] = " ".join(word for word in name.split(" ") if word not in shared) or ONE
    return called


def _of_environment(word: str) -> bool:
    name = word.partition("=")[0]
    return "=" in word and (name in ("env", "id") or name.startswith("env."))


def _scored(runs: pd.DataFrame) -> pd.DataFrame:
    scored = runs[(exclusions(runs) == "") & np.isfinite(runs[names.FINAL_RETURN])]
    return pd.DataFrame(scored.assign(setting=scored["configuration_name"].astype(str).map(settings(runs))))


def _over(by_task: list[FloatArray]) -> dict[str, object]:
    columns: dict[str, object] = {}
    caveats: dict[str, list[str]] = {}
    for name in ESTIMATES:
        found = estimate_over_tasks(by_task, name, target=1.0)
        columns |= {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high, "method": found.method}
        caveats.setdefault(found.caveat, []).append(CALLED[name])
    return columns | {"caveat": " ".join(f"{', '.join(of)}: {caveat}" for caveat, of in caveats.items() if caveat)}
