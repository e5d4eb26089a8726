"""Model selection: the best configurations, the bias of their scores, and fresh seeds to report them on."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd

from pgexp.comparison.design import parameter_texts
from pgexp.comparison.inclusion import REPEATED, UNSCORED, exclusion_reasons, imputed_scores
from pgexp.schema.errors import UserError
from pgexp.statistics.selection_bias import selection_bias

SELECTION_COLUMNS: Final = (
    *("environment", "method", "configuration_name", "configuration", "score", "n", "failed", "candidates", "bias"),
    "run_id",
)
BEST_COLUMNS: Final = ("environment", "configurations", "configuration_name", "n", "mean", "standard_error", "bias")
AND: Final = " and "  # separates the ids of several sweeps of one selection
FIRST_FRESH_SEED: Final = 100


def select(runs: pd.DataFrame, by: Sequence[str] = ()) -> pd.DataFrame:
    """Return the configuration with the best mean over its seeds, a row per environment and method, SELECTION_COLUMNS.

    A method is a combination of the values of the factors `by`, for example ``baseline``; all other parameters are
    hyper-parameters. Without `by` there is one method. `score` is the mean final return of n seeds, with the worst
    score of the environment for failed ones (`imputed_scores`). Equal means are ranked by fewer failed runs, then by
    more seeds, then by the order in the frame.

    `score` is the best of `candidates` means on the seeds that chose it, so it is too high by about `bias`
    (`bias_over_seeds`; absent if a candidate has one seed, 0 for one candidate): report the configuration on fresh
    seeds. run_id is one of its runs, for its config. Raises UserError if a factor is unknown or no run has a
    score.
    """
    rows = imputed_scores(runs)
    if rows.empty:
        raise UserError.at("--select", "no run has a final score yet. Wait until the sweep has finished")
    rows = rows.assign(method=parameter_texts(rows, by))
    keys = ["environment", "method"]
    means = rows.groupby([*keys, "configuration"], sort=False, observed=True).agg(
        configuration_name=("configuration_name", "first"),
        score=("score", "mean"),
        n=("score", "size"),
        failed=("failed", "sum"),
        run_id=("run_id", "first"),
    )
    means = means.reset_index()
    means["candidates"] = means.groupby(keys, sort=False, observed=True)["score"].transform("size")
    biases = {
        key: bias_over_seeds([seeds for _, seeds in _scores_by_seed(own, "configuration")])
        for key, own in rows.groupby(keys, sort=False, observed=True)
    }
    means["bias"] = np.array([biases[key] for key in zip(means["environment"], means["method"], strict=True)], float)
    ranked = means.sort_values(["score", "failed", "n"], ascending=[False, True, False], kind="stable")
    order = rows.drop_duplicates(keys)[keys]
    return order.merge(ranked.drop_duplicates(keys), on=keys, how="left")[list(SELECTION_COLUMNS)]


def best_configurations(runs: pd.DataFrame) -> pd.DataFrame:
    """Return a row per environment with more than one scored configuration, BEST_COLUMNS, from `frames.runs`.

    It has the configuration with the best mean over its seeds, with imputed scores of failed ones as in `select`.
    `bias`, in units of return, estimates how much this mean is too high because the same seeds chose it
    (`bias_over_seeds`; absent if a configuration has one seed). Fresh seeds do not have this bias.
    """
    rows = []
    for environment, own in imputed_scores(runs).groupby("environment", sort=False):
        samples = dict(_scores_by_seed(own, "configuration_name"))
        if len(samples) > 1:
            name = max(samples, key=lambda name: float(samples[name].mean()))
            scores = samples[name].to_numpy(float)
            error = scores.std(ddof=1) / np.sqrt(scores.size) if scores.size > 1 else None
            bias = bias_over_seeds(list(samples.values()))
            rows.append((environment, len(samples), name, scores.size, scores.mean(), error, bias))
    frame = pd.DataFrame(rows, columns=list(BEST_COLUMNS))
    return frame.astype({"mean": float, "standard_error": float, "bias": float})


def bias_over_seeds(samples: Sequence["pd.Series[float]"]) -> float | None:
    """Return the `selection_bias` of configurations from their scores by seed, paired if all have the same seeds.

    0 for one configuration. If some seeds are common and others not, and seeds have common effects, it is conservative.
    """
    if len(samples) == 1:
        return 0.0
    ordered = [sample.sort_index() for sample in samples]
    paired = all(sample.index.equals(ordered[0].index) for sample in ordered)
    return selection_bias([sample.to_numpy(float) for sample in ordered], paired)


def selection_notes(runs: pd.DataFrame, chosen: pd.DataFrame) -> list[str]:
    """Return notes on a selection: failed, unfinished and repeated runs, and environments without a score."""
    rows, reasons, notes, total = imputed_scores(runs), exclusion_reasons(runs), [], len(runs)
    if failed := int(rows["failed"].sum()):
        notes.append(f"{failed} of {len(rows)} runs failed and get the worst score of their environment.")
    running = ~runs["run_id"].isin(rows["run_id"]) & ~runs["status"].isin(["FAILED", "FINISHED"])
    if count := int(running.sum()):
        notes.append(f"{count} of {total} runs have not ended and are excluded.")
    if count := int((reasons == UNSCORED["FINISHED"]).sum()):
        notes.append(f"{count} of {total} runs finished without a final evaluation and are excluded.")
    if count := int((reasons == REPEATED).sum()):
        notes.append(f"{count} of {total} runs are repeated by newer ones with the same seed, which count.")
    lacking = sorted(set(runs["environment"]) - set(rows["environment"]))
    if lacking:
        notes.append(f"No selection on {', '.join(lacking)}, since no run has a score.")
    sizes = rows.groupby("configuration")["seed"].size()
    if sizes.nunique() > 1:
        notes.append(f"Configurations have {sizes.min()} to {sizes.max()} seeds; those with fewer depend more on luck.")
    single = chosen.loc[chosen["n"] == 1, "configuration_name"]
    if len(single):
        notes.append(f"Selected by one seed: {', '.join(single)}.")
    return notes


def selecting_sweeps(runs: pd.DataFrame) -> list[str]:
    """Return the ids of the sweeps that selected the runs' configurations; empty if the runs are not of a fresh
    sweep."""
    texts = runs["selected_from"].fillna("").unique() if len(runs) else ()
    return list(dict.fromkeys(sweep for text in texts for sweep in str(text).split(AND) if sweep))


def fresh_seed_notes(runs: pd.DataFrame, selecting: pd.DataFrame) -> list[str]:
    """Return which sweeps selected the runs' configurations, and whether their seeds are fresh.

    selecting holds the runs of the selecting sweeps (`selecting_sweeps`), as far as they are available.
    """
    fresh = runs[runs["selected_from"].fillna("") != ""]
    if fresh.empty:
        return []
    notes = [f"Selected by sweep {AND.join(selecting_sweeps(runs))}, reported on fresh seeds."]
    used = fresh["seed"].isin(selecting["seed"])
    if used.any():
        listed = ", ".join(map(str, sorted(fresh.loc[used, "seed"].unique())[:5]))
        notes.append(
            f"Not fresh: {int(used.sum())} of {len(fresh)} runs, whose seeds ({listed}) were also in the selection."
        )
    if len(fresh) < len(runs):
        others = len(runs) - len(fresh)
        notes.append(f"{others} of {len(runs)} runs are not of a fresh sweep; they may be the selecting runs.")
    return notes


def fresh_seeds(runs: pd.DataFrame, count: int) -> range:
    """Return `count` seeds that no run has, whatever its status: the first ones from FIRST_FRESH_SEED on.

    They depend on the sweep only, so that a repeated report uses the same seeds: fresh seeds are drawn once.
    """
    first = max(FIRST_FRESH_SEED, int(runs["seed"].max()) + 1)
    return range(first, first + count)


def _scores_by_seed(rows: pd.DataFrame, key: str) -> "list[tuple[str, pd.Series[float]]]":
    return [(str(name), own) for name, own in rows.set_index("seed").groupby(key, sort=False, observed=True)["score"]]
