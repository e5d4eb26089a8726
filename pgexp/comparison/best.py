"""What reporting the best of several configurations on the seeds that chose it adds to its score."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd

from pgexp.comparison.judging import judged
from pgexp.statistics.best_of import selection_bias

COLUMNS: Final = ("environment", "configurations", "configuration_name", "n", "mean", "standard_error", "bias")


def best(runs: pd.DataFrame) -> pd.DataFrame:
    """Return a row an environment with more than one scored configuration, COLUMNS, from `frames.runs`.

    It names the configuration with the best mean over its seeds, those that failed judged as `selecting.select`
    does (`judging.judged`), and `bias`, in units of return, estimates by how much that mean is too high because the
    same seeds chose it (`seeds_bias`; absent where a configuration has a single seed). On fresh seeds there is no
    such bias.
    """
    rows = []
    for environment, own in judged(runs).groupby("environment", sort=False):
        by_name = own.set_index("seed").groupby("configuration_name", sort=False, observed=True)["score"]
        samples = {str(name): seeds for name, seeds in by_name}
        if len(samples) > 1:
            rows.append({"environment": environment, **_best(samples)})
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"mean": float, "standard_error": float, "bias": float})


def seeds_bias(samples: Sequence["pd.Series[float]"]) -> float | None:
    """Return the `selection_bias` of configurations from their scores by seed, paired where all have the same seeds.

    Where they have some seeds in common and others not, and seeds are lucky in all of them, it is on the safe side.
    """
    ordered = [sample.sort_index() for sample in samples]
    paired = all(sample.index.equals(ordered[0].index) for sample in ordered)
    return selection_bias([sample.to_numpy(float) for sample in ordered], paired)


def _best(samples: dict[str, "pd.Series[float]"]) -> dict[str, object]:
    name = max(samples, key=lambda name: float(samples[name].mean()))
    own = samples[name].to_numpy(float)
    return {
        "configurations": len(samples),
        "configuration_name": name,
        "n": own.size,
        "mean": own.mean(),
        "standard_error": own.std(ddof=1) / np.sqrt(own.size) if own.size > 1 else None,
        "bias": seeds_bias(list(samples.values())),
    }
