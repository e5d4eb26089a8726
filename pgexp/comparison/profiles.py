"""Performance profiles: which share of the runs scores above each score."""

from typing import Final

import numpy as np
import pandas as pd

from pgexp.comparison.counting import exclusions
from pgexp.schema import names
from pgexp.statistics.profiles import performance_profile

COLUMNS: Final = ("environment", "configuration_name", "score", "share", "low", "high", "n")
MARGIN: Final = 0.02  # of the scores' range, by which a profile begins before the lowest and ends after the highest


def profile_frame(runs: pd.DataFrame) -> pd.DataFrame:
    """Return each configuration's performance profile, a row a score, COLUMNS, from the frame of `frames.runs`.

    share is that of the configuration's n counted runs whose final return lies above the score; it is a step
    function that falls at the runs' own scores, which are its rows, with one before the environment's lowest score
    and one after its highest. low and high are the exact 95 % interval of the share at that one score. Scores that
    are not finite are passed over; a configuration without any has no profile.
    """
    counted = runs[(exclusions(runs) == "") & np.isfinite(runs[names.FINAL_RETURN])]
    parts = [pd.DataFrame(columns=list(COLUMNS))]
    for environment, own in counted.groupby("environment", sort=False, observed=True):
        lowest, highest = own[names.FINAL_RETURN].min(), own[names.FINAL_RETURN].max()
        margin = MARGIN * (highest - lowest) or MARGIN * abs(highest) or MARGIN
        for name, scores in own.groupby("configuration_name", sort=False, observed=True)[names.FINAL_RETURN]:
            at = np.unique([lowest - margin, *scores, highest + margin])
            found = performance_profile([scores.to_numpy(float)], at)
            bands = {"share": found.share, "low": found.low, "high": found.high}
            heading = {"environment": environment, "configuration_name": name, "score": at}
            parts.append(pd.DataFrame({**heading, **bands, "n": len(scores)}))
    return pd.concat(parts[1:] or parts, ignore_index=True)
