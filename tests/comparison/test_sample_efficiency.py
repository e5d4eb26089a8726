import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from pgexp.comparison.curves import COLUMNS
from pgexp.comparison.sample_efficiency import sample_efficiency
from pgexp.schema.names import EVALUATION_RETURN
from tests.comparison.figures.samples import runs

Curve = Sequence[tuple[int, float]]
SCALE = pd.DataFrame({"environment": ["B-v1", "A-v1"], "low": [-100, 0], "high": [100, 10]})


def recorded(curves: dict[tuple[str, str], Sequence[Curve]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Runs and metrics of configurations by environment and name, a curve a seed."""
    frames = [runs({name: [0.0] * len(seeds)}, environment) for (environment, name), seeds in curves.items()]
    metrics = [
        (f"{environment} {name} {seed}", EVALUATION_RETURN, steps, value)
        for (environment, name), seeds in curves.items()
        for seed, curve in enumerate(seeds)
        for steps, value in curve
    ]
    return pd.concat(frames, ignore_index=True), pd.DataFrame(metrics, columns=["run_id", "metric", "steps", "value"])


def test_environments_are_normalised_and_pooled() -> None:
    frame = sample_efficiency(
        *recorded(
            {
                ("A-v1", "env=a b=x"): [[(100, 0.0), (200, 10.0)], [(100, 1.0), (200, 9.0)]],
                ("B-v1", "env=b b=x"): [[(100, 0.0), (200, 80.0)], [(100, -100.0), (200, 100.0)]],
            }
        ),
        SCALE,
    )
    assert list(frame.columns) == list(COLUMNS)
    assert frame[["environment", "configuration_name"]].drop_duplicates().to_numpy().tolist() == [
        ["2 environments", "b=x"]
    ]
    assert frame["steps"].tolist() == [100, 200]
    # Normalised 0, .1 and .5, 0; then 1, .9 and .9, 1: the mean of the middle two.
    np.testing.assert_allclose(frame["iqm"], [0.05, 0.95])
    assert frame["n"].tolist() == [4, 4]
    assert (frame["low"] < frame["iqm"]).all()
    assert (frame["high"] > frame["iqm"]).all()
    assert frame["threshold"].isna().all()


def test_the_steps_are_those_that_all_environments_have() -> None:
    frame = sample_efficiency(
        *recorded(
            {
                ("A-v1", "env=a b=x"): [[(100, 0.0), (200, 10.0)]],
                ("B-v1", "env=b b=x"): [[(150, 0.0), (200, 0.0), (300, 80.0)]],
            }
        ),
        SCALE,
    )
    assert frame["steps"].tolist() == [150, 200]
    np.testing.assert_allclose(frame["iqm"], [0.5, 0.75])  # of .5 and .5, of 1 and .5
    assert frame[["low", "high"]].isna().all(axis=None), "nothing is known of one seed's spread"


def test_a_configuration_that_lacks_an_environment_has_no_curve() -> None:
    line = [[(100, 1.0), (200, 2.0)]]
    curves = {("A-v1", "env=a b=x"): line, ("A-v1", "env=a b=y"): line, ("B-v1", "env=b b=y"): line}
    frame = sample_efficiency(*recorded(curves), SCALE)
    assert frame["configuration_name"].unique().tolist() == ["b=y"]
    apart = {("A-v1", "env=a b=x"): line, ("B-v1", "env=b b=x"): [[(300, 1.0), (400, 2.0)]]}
    assert sample_efficiency(*recorded(apart), SCALE).empty, "no step in common"


def test_one_environment_is_no_aggregate() -> None:
    frame = sample_efficiency(*recorded({("A-v1", "b=x"): [[(100, 1.0), (200, 2.0)]]}), SCALE)
    assert frame.empty
    assert list(frame.columns) == list(COLUMNS)


def test_a_scale_that_lacks_an_environment_is_refused() -> None:
    line = [[(100, 1.0), (200, 2.0)]]
    with pytest.raises(KeyError, match="C-v1"):
        sample_efficiency(*recorded({("A-v1", "env=a"): line, ("C-v1", "env=c"): line}), SCALE)


def test_a_run_that_ends_early_leaves_the_curve() -> None:
    whole, short = [(step, 10.0) for step in (100, 200, 300, 400)], [(100, 0.0), (200, 0.0)]
    frame = sample_efficiency(
        *recorded({("A-v1", "env=a"): [whole, whole, short], ("B-v1", "env=b"): [whole] * 2}), SCALE
    )
    assert frame["n"].tolist() == [5, 5, 4, 4]
    assert not any(math.isnan(value) for value in frame["iqm"])
