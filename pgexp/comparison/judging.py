"""What each run is worth where configurations are chosen among: a run that failed is worth the worst of all scores."""

from typing import Final

import pandas as pd

from pgexp.comparison.counting import NONFINITE, UNSCORED, exclusions
from pgexp.schema import names

COLUMNS: Final = ("environment", "configuration", "seed", "score", "failed")


def judged(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs that choices are made by, a row a configuration and seed: the columns of `runs`, and COLUMNS.

    `score` is the final return of a run that counts (`counting.exclusions`). A run that failed, or whose final return
    is not finite, has `failed` set and the worst finite score that was observed in its environment: were it left out,
    a step size at which half of the runs diverge would look as good as its luckiest seeds. A seed that failed once and
    has a score of another run counts by that. Runs that have not ended are left out, and so are environments without
    a single score, since nothing can be judged there.
    """
    reasons = exclusions(runs)
    counts, failed = reasons == "", reasons.isin([UNSCORED["FAILED"], NONFINITE])
    worst = runs[counts].groupby("environment", observed=True)[names.FINAL_RETURN].min()
    scores = runs[names.FINAL_RETURN].mask(failed, runs["environment"].map(worst))
    rows = runs.assign(score=scores, failed=failed)[counts | failed]
    ordered = rows.sort_values(["failed", "start"], ascending=[True, False], kind="stable")
    kept = ordered.drop_duplicates(["configuration", "seed"]).dropna(subset="score")
    return kept.sort_index()
