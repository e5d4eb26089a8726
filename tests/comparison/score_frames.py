"""Frames of runs, as from `frames.runs`, made from scores."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from pgexp.schema.names import FINAL_RETURN


def configuration(
    scores: Sequence[float | None],
    seeds: Sequence[int] | None = None,
    environment: str = "CartPole-v1",
    sweep: str = "sweep",
    **params: object,
) -> pd.DataFrame:
    """Return the runs of one configuration from its scores; None is a run that failed without a score.

    Parameter names have two underscores for a dot: ``optimizer__lr=0.1``.
    """
    named = {name.replace("__", "."): value for name, value in params.items()}
    called = " ".join(f"{name}={value}" for name, value in named.items())
    key = f"{environment} {called}"
    frame = pd.DataFrame({"seed": range(len(scores)) if seeds is None else list(seeds)})
    columns: Mapping[str, object] = {
        "run_id": [f"{sweep} {key} {number}" for number in range(len(scores))],
        "environment": environment,
        "configuration": key,
        "configuration_name": called,
        "sweep": sweep,
        "status": ["FAILED" if score is None else "FINISHED" for score in scores],
        "start": pd.Timestamp("2026-11-28", tz="UTC"),
        "artifacts": "",
        "experiment": "pgexp",
        "biased": "",
        "selected_from": "",
        FINAL_RETURN: [np.nan if score is None else score for score in scores],
        "param.seed": frame["seed"],
        "param.env.id": environment,
    }
    return frame.assign(**columns, **{f"param.{name}": value for name, value in named.items()})


def joined(*configurations: pd.DataFrame) -> pd.DataFrame:
    """Return the runs of several configurations; parameters that one lacks are missing values."""
    return pd.concat(configurations, ignore_index=True)
