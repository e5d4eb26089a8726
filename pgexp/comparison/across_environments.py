"""Normalised scores of configurations across several environments."""

from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from pgexp.comparison.inclusion import exclusion_reasons
from pgexp.schema import names
from pgexp.schema.errors import UserError
from pgexp.statistics.estimation import Name, estimate_across_environments
from pgexp.statistics.point_estimates import FloatArray

LABELS: Final[dict[Name, str]] = {"mean": "mean", "median": "median", "iqm": "IQM", "optimality_gap": "optimality gap"}
COLUMNS: Final = (
    *("configuration_name", "environments", "n"),
    *(f"{name}{end}" for name in LABELS for end in ("", "_low", "_high")),
    *("method", "caveat"),
)
SCALE_COLUMNS: Final = ("environment", "low", "high")
ONLY: Final = "(one configuration)"  # name of each environment's only configuration


def across_environments(runs: pd.DataFrame, scale: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return a row per configuration that has scores on every environment, COLUMNS, from `frames.runs`.

    A configuration is identified by its name without the environment (`names_without_environment`). Scores are
    normalised per environment, to 0 at its low and 1 at its high (`score_scale`). mean, median and iqm are those of
    `estimate_across_environments`, and optimality_gap is the mean shortfall from 1; each has its 95 % interval, which
    `caveat` limits. n is the number of runs. With one environment, or if one's scores are all equal, there are no rows.

    Raises UserError if the scale lacks an environment.
    """
    scored = _scored(runs)
    ends = score_scale(runs, scale).set_index("environment")
    if len(ends) < 2 or (ends["low"] >= ends["high"]).any():
        return pd.DataFrame(columns=list(COLUMNS))
    low, high = (scored["environment"].map(ends[end]).astype(float) for end in ("low", "high"))
    scored = scored.assign(normalised=(scored[names.FINAL_RETURN] - low) / (high - low))
    rows = []
    for name, own in scored.groupby("short_name", sort=False):
        scores = [some["normalised"].to_numpy() for _, some in own.groupby("environment", sort=False, observed=True)]
        if len(scores) == len(ends):
            rows.append({"configuration_name": name, "environments": len(ends), "n": len(own), **_estimates(scores)})
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(dict.fromkeys(COLUMNS[3:-2], float))


def score_scale(runs: pd.DataFrame, scale: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return the returns that become 0 and 1 on each environment with a score: a row per environment, SCALE_COLUMNS.

    These are the ends of `scale` (`read_scale`), or else the least and greatest score of the runs; with one environment
    always the latter. Raises UserError if the scale lacks an environment.
    """
    by_environment = _scored(runs).groupby("environment", sort=False)[names.FINAL_RETURN]
    seen = pd.DataFrame({"low": by_environment.min(), "high": by_environment.max()})
    if scale is None or len(seen) < 2:
        return seen.reset_index()
    missing = [environment for environment in seen.index if environment not in scale["environment"].tolist()]
    if missing:
        raise UserError.at("--scale", f"no line for {', '.join(missing)}. Add environment, low and high")
    return scale.set_index("environment")[["low", "high"]].loc[seen.index].reset_index()


def across_environments_notes(runs: pd.DataFrame, scale: pd.DataFrame | None = None) -> list[str]:
    """Return notes on the normalisation, and on what is not averaged over environments."""
    scored = _scored(runs)
    ends = score_scale(runs, scale).set_index("environment")
    if len(ends) < 2:
        return [] if scale is None else ["The scale is not used, since there is one environment."]
    flat = ends.index[ends["low"] >= ends["high"]]
    if len(flat):
        return [f"There are no averages over environments, since all scores are equal on {', '.join(flat)}."]
    covered = scored.groupby("short_name", sort=False)["environment"].nunique()
    lacking = covered.index[covered < len(ends)].tolist()
    notes = (
        [f"Not averaged over environments, since scores are missing on some: {', '.join(lacking)}."] if lacking else []
    )
    without = [str(name) for name in runs["environment"].unique() if name not in ends.index]
    if without:
        notes.append(f"Averages over environments exclude {', '.join(without)}, which has no score.")
    if scale is None and len(lacking) < len(covered):
        notes.append(
            "Across environments, 0 and 1 are the least and greatest score of these runs, so other runs change them; "
            "a fixed scale (--scale FILE) does not change."
        )
    return notes


def read_scale(path: Path) -> pd.DataFrame:
    """Return the scale in a CSV file with the columns environment, low and high: the returns that become 0 and 1.

    Raises UserError if the file is not such a table.
    """
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise UserError.at("--scale", f"cannot read {path} ({error}). Name a CSV file") from error
    if not set(SCALE_COLUMNS) <= set(table.columns):
        found = ", ".join(table.columns)
        raise UserError.at("--scale", f"{path} must have the columns {', '.join(SCALE_COLUMNS)} (got {found})")
    ends = table[["low", "high"]].apply(pd.to_numeric, errors="coerce").astype(float)
    wrong = ~np.isfinite(ends).all(axis=1) | (ends["low"] >= ends["high"]) | table["environment"].duplicated()
    if wrong.any():
        line = int(wrong.to_numpy().argmax()) + 2
        raise UserError.at("--scale", f"line {line} of {path} must have numbers low < high and a new environment")
    return table[["environment"]].astype(str).assign(low=ends["low"], high=ends["high"])


def names_without_environment(runs: pd.DataFrame) -> "pd.Series[str]":
    """Return, by the name of each configuration, its part that does not name the environment.

    ``env=acrobot baseline=value`` is ``baseline=value`` on Acrobot. Keys of `env` are removed if all of an
    environment's configurations have them. With one environment it is the whole name.
    """
    own = runs[["environment", "configuration_name"]].drop_duplicates().astype(str)
    called = pd.Series(own["configuration_name"].to_numpy(), index=own["configuration_name"].to_numpy())
    if own["environment"].nunique() < 2:
        return called
    for _, rows in own.groupby("environment", sort=False):
        words = [set(name.split(" ")) for name in rows["configuration_name"]]
        shared = {word for word in set.intersection(*words) if _is_of_environment(word)}
        for name in rows["configuration_name"]:
            called[name] = " ".join(word for word in name.split(" ") if word not in shared) or ONLY
    return called


def _is_of_environment(word: str) -> bool:
    name = word.partition("=")[0]
    return "=" in word and (name in ("env", "id") or name.startswith("env."))


def _scored(runs: pd.DataFrame) -> pd.DataFrame:
    scored = runs[(exclusion_reasons(runs) == "") & np.isfinite(runs[names.FINAL_RETURN])]
    short_names = scored["configuration_name"].astype(str).map(names_without_environment(runs))
    return pd.DataFrame(scored.assign(short_name=short_names))


def _estimates(scores: list[FloatArray]) -> dict[str, object]:
    columns: dict[str, object] = {}
    caveats: dict[str, list[str]] = {}
    for name, label in LABELS.items():
        found = estimate_across_environments(scores, name, target=1.0)
        columns |= {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high, "method": found.method}
        caveats.setdefault(found.caveat, []).append(label)
    return columns | {"caveat": " ".join(f"{', '.join(of)}: {caveat}" for caveat, of in caveats.items() if caveat)}
