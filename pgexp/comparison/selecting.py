"""Selection without bias: the best configurations are chosen by some seeds, and reported on fresh ones."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd

from pgexp.comparison.best import seeds_bias
from pgexp.comparison.counting import REPEATED, UNSCORED, exclusions
from pgexp.comparison.factors import option_values
from pgexp.comparison.judging import judged
from pgexp.comparison.store import ComparisonError

COLUMNS: Final = (
    *("environment", "method", "configuration_name", "configuration", "score", "n", "failed", "candidates", "bias"),
    "run_id",
)
AND: Final = " and "  # between the ids of several sweeps that chose together
FIRST_FRESH: Final = 100  # the least of the seeds that a choice is reported on


def select(runs: pd.DataFrame, by: Sequence[str] = ()) -> pd.DataFrame:
    """Return the configuration with the best mean over its seeds, a row an environment and method, COLUMNS.

    A method is one combination of the values of the factors `by`, ``baseline`` say, within which all else counts as
    hyper-parameters; without them there is one method, and the best of all is chosen. `score` is the mean of the
    final returns, of n seeds, those that failed counted as the worst score of the environment (`judging.judged`).
    Of equal means the one with fewer failed runs is chosen, then the one of more seeds, then the first in the frame.

    `score` is the best of as many means as there are `candidates`, by the seeds that chose it, and overstates what
    the configuration is worth, by about `bias` (`best.seeds_bias`; absent where a candidate has a single seed,
    0 where there is but one candidate): report it on fresh seeds. run_id is one of its runs, by which its config is
    found. ComparisonError for a factor that no run has, and where no run has a score.
    """
    rows = judged(runs)
    if rows.empty:
        raise ComparisonError("no run has a final score yet, so there is nothing to choose by: let the sweep finish")
    rows = rows.assign(method=option_values(rows, by))
    keys = ["environment", "method", "configuration"]
    means = rows.groupby(keys, sort=False, observed=True).agg(
        configuration_name=("configuration_name", "first"),
        score=("score", "mean"),
        n=("score", "size"),
        failed=("failed", "sum"),
        run_id=("run_id", "first"),
    )
    means = means.reset_index()
    biases = {key: _bias(own) for key, own in rows.groupby(keys[:2], sort=False, observed=True)}
    of_method = means.groupby(keys[:2], sort=False, observed=True)
    means["candidates"] = of_method["score"].transform("size")
    means["bias"] = [biases[key] for key in zip(means["environment"], means["method"], strict=True)]
    ranked = means.sort_values(["score", "failed", "n"], ascending=[False, True, False], kind="stable")
    best = ranked.drop_duplicates(keys[:2])
    order = rows.drop_duplicates(keys[:2])[keys[:2]]
    return order.merge(best, on=keys[:2], how="left")[list(COLUMNS)]


def selection_notes(runs: pd.DataFrame, chosen: pd.DataFrame) -> list[str]:
    """Return what is to be known of a choice: runs that failed or play no part, and environments that have none."""
    rows = judged(runs)
    notes = []
    if failed := int(rows["failed"].sum()):
        notes.append(f"{failed} of {len(rows)} runs failed, and are judged as the worst score of their environment.")
    judgeable = ~runs["run_id"].isin(rows["run_id"]) & ~runs["status"].isin(["FAILED", "FINISHED"])
    if unended := int(judgeable.sum()):
        notes.append(f"{unended} of {len(runs)} runs have not ended, and play no part in the choice.")
    reasons = exclusions(runs)
    if unscored := int((reasons == UNSCORED["FINISHED"]).sum()):
        notes.append(
            f"{unscored} of {len(runs)} runs finished without a final evaluation, and play no part in the choice."
        )
    if repeated := int((reasons == REPEATED).sum()):
        notes.append(f"{repeated} of {len(runs)} runs are repeated by newer ones of the same seed, which count.")
    lacking = sorted(set(runs["environment"]) - set(rows["environment"]))
    if lacking:
        notes.append(f"Nothing is chosen on {', '.join(lacking)}, where no run has a score.")
    sizes = rows.groupby("configuration")["seed"].size()
    if sizes.nunique() > 1:
        notes.append(f"The configurations were judged by {sizes.min()} to {sizes.max()} seeds: fewer favour luck.")
    alone = chosen.loc[chosen["n"] == 1, "configuration_name"]
    if len(alone):
        notes.append(f"Judged by a single seed: {', '.join(alone)}.")
    return notes


def origins(runs: pd.DataFrame) -> list[str]:
    """Return the ids of the sweeps that chose the runs' configurations; none where the runs are of no fresh sweep."""
    texts = runs["selected_from"].fillna("").unique() if len(runs) else ()
    return list(dict.fromkeys(sweep for text in texts for sweep in str(text).split(AND) if sweep))


def origin_notes(runs: pd.DataFrame, choosing: pd.DataFrame) -> list[str]:
    """Return by which sweeps the runs' configurations were chosen, and whether their seeds are fresh.

    choosing holds the runs of the sweeps that chose (`origins`), as far as they can be had.
    """
    fresh = runs[runs["selected_from"].fillna("") != ""]
    if fresh.empty:
        return []
    notes = [f"Chosen by sweep {AND.join(origins(runs))}, reported on fresh seeds."]
    used = fresh["seed"].isin(choosing["seed"])
    if used.any():
        listed = ", ".join(map(str, sorted(fresh.loc[used, "seed"].unique())[:5]))
        notes.append(
            f"Not fresh are {int(used.sum())} of {len(fresh)} runs, whose seeds ({listed}) were there to choose by."
        )
    if len(fresh) < len(runs):
        others = len(runs) - len(fresh)
        notes.append(f"{others} of {len(runs)} runs are of sweeps that were not selected for; they may be what chose.")
    return notes


def fresh_seeds(runs: pd.DataFrame, count: int) -> range:
    """Return so many seeds that none of the runs has, whatever became of it: the first ones from FIRST_FRESH on.

    They depend on the sweep alone, so that who reports once more, reports on the same seeds: fresh ones are drawn once.
    """
    first = max(FIRST_FRESH, int(runs["seed"].max()) + 1)
    return range(first, first + count)


def _bias(rows: pd.DataFrame) -> float:
    """Return about how far the best of a method's means is overstated."""
    by_seed = rows.set_index("seed").groupby("configuration", sort=False, observed=True)["score"]
    scores = [own for _, own in by_seed]
    if len(scores) == 1:
        return 0.0
    bias = seeds_bias(scores)
    return np.nan if bias is None else bias
