import math

import numpy as np
import pandas as pd
import pytest

from pgexp.comparison.profiles import COLUMNS, profile_frame
from pgexp.schema.names import FINAL_RETURN
from tests.comparison.figures.samples import runs


def test_a_profile_falls_at_the_runs_own_scores() -> None:
    frame = profile_frame(runs({"a": [2, 1, 2, 6], "b": [11]}))
    assert list(frame.columns) == list(COLUMNS)
    a, b = (frame[frame["configuration_name"] == name] for name in ("a", "b"))
    # The environment's scores reach from 1 to 11: one point 2 % of that before, one after.
    assert a["score"].tolist() == [0.8, 1, 2, 6, 11.2]
    assert a["share"].tolist() == [1, 0.75, 0.25, 0, 0]
    assert b["score"].tolist() == [0.8, 11, 11.2]
    assert b["share"].tolist() == [1, 0, 0]
    assert (a["n"].unique().tolist(), b["n"].unique().tolist()) == ([4], [1])
    # Clopper and Pearson, all of four: (alpha / 2)^(1 / 4) to 1; none of four: 0 to 1 - (alpha / 2)^(1 / 4).
    edge = 0.025**0.25
    assert a[["low", "high"]].iloc[0].tolist() == pytest.approx([edge, 1])
    assert a[["low", "high"]].iloc[-1].tolist() == pytest.approx([0, 1 - edge])


def test_each_environment_has_its_own_range() -> None:
    frame = profile_frame(pd.concat([runs({"a": [0, 1]}, "A-v1"), runs({"b": [100, 200]}, "B-v1")], ignore_index=True))
    assert frame.groupby("environment")["score"].max().tolist() == [1.02, 202]


def test_runs_without_a_finite_score_are_not_in_a_profile() -> None:
    every = runs({"a": [1.0, 2.0, math.inf], "b": [3.0]})
    every.loc[[0, 3], [FINAL_RETURN, "status"]] = [math.nan, "FAILED"]
    frame = profile_frame(every)
    assert frame["configuration_name"].unique().tolist() == ["a"]
    assert frame["n"].unique().tolist() == [1]
    np.testing.assert_allclose(frame["score"], [1.96, 2, 2.04])  # all scores are 2, of which 2 % are .04
    assert list(profile_frame(every.iloc[:1]).columns) == list(COLUMNS)
