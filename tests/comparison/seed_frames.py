"""Small frames of runs and evaluations, as from `frames`."""

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from pgexp.schema.names import EVALUATION_RETURN, FINAL_RETURN

Scores = Mapping[str, Sequence[float]]


def seed_runs(
    scores: Scores, threshold: float = math.nan, environment: str = "CartPole-v1", first: int = 0
) -> pd.DataFrame:
    """Return the finished runs of some configurations, with the scores of the seeds first, first + 1, ..."""
    rows = [
        {
            "run_id": f"{name}-{seed}",
            "name": f"{name} seed={seed}",
            "experiment": "cartpole",
            "sweep": "abc123",
            "environment": environment,
            "configuration": f"key of {name}",
            "configuration_name": name,
            "seed": seed,
            "status": "FINISHED",
            "start": pd.Timestamp(0, tz="UTC"),
            "threshold": threshold,
            "artifacts": "",
            "folder": "",
            "code": "",
            "dirty": pd.NA,
            "nonfinite": math.nan,
            "reason": "",
            "key": "",
            "commit": "",
            "biased": "",
            "selected_from": "",
            FINAL_RETURN: score,
        }
        for name, of_seeds in scores.items()
        for seed, score in enumerate(of_seeds, first)
    ]
    return pd.DataFrame(rows).astype({"dirty": "boolean", "nonfinite": float, "threshold": float})


def evaluations(curves: Mapping[str, Sequence[tuple[int, float]]]) -> pd.DataFrame:
    """Return the evaluations of runs, by id, each a list of steps and returns."""
    rows = [
        {"run_id": run, "configuration_name": run.rpartition("-")[0], "seed": int(run.rpartition("-")[2])}
        | {"steps": steps, "metric": EVALUATION_RETURN, "value": value}
        for run, points in curves.items()
        for steps, value in points
    ]
    frame = pd.DataFrame(rows, columns=["run_id", "configuration_name", "seed", "steps", "metric", "value"])
    return frame.astype({"seed": int, "steps": int, "value": float})
