"""Sensitivity to hyper-parameters, and interactions."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pgexp.comparison.sensitivity import interaction, sensitivity
from tests.comparison.score_frames import configuration, joined

# Scores of two seeds for each rate and width.
SCORES = {
    (0.1, 8): [1.0, 3.0],
    (0.1, 16): [5.0, 9.0],
    (0.2, 8): [10.0, 10.0],
    (0.2, 16): [0.0, 4.0],
}


def grid() -> pd.DataFrame:
    return joined(*(configuration(each, lr=rate, width=width) for (rate, width), each in SCORES.items()))


def points(frame: pd.DataFrame, factor: str, kind: str) -> list[tuple[object, ...]]:
    rows = frame[(frame["factor"] == factor) & (frame["kind"] == kind)]
    return list(rows[["value", "configurations", "n", "score"]].itertuples(index=False, name=None))


def test_marginal_and_best_scores() -> None:
    frame = sensitivity(grid())
    assert points(frame, "lr", "marginal") == [(0.1, 2, 2, 4.5), (0.2, 2, 2, 6.0)]
    assert points(frame, "lr", "best") == [(0.1, 1, 2, 7.0), (0.2, 1, 2, 10.0)]
    assert points(frame, "width", "marginal") == [(8, 2, 2, 6.0), (16, 2, 2, 4.5)]
    assert points(frame, "width", "best") == [(8, 1, 2, 10.0), (16, 1, 2, 7.0)]
    assert frame["environment"].unique().tolist() == ["CartPole-v1"]


def test_intervals_are_over_common_seeds() -> None:
    frame = sensitivity(grid()).set_index(["factor", "value", "kind"])
    per_seed = np.array([(1 + 5) / 2, (3 + 9) / 2])
    expected = stats.t.interval(0.95, 1, per_seed.mean(), stats.sem(per_seed))
    assert frame.loc[("lr", 0.1, "marginal"), ["low", "high"]].tolist() == pytest.approx(expected)
    alone = stats.t.interval(0.95, 1, 7, stats.sem([5, 9]))
    assert frame.loc[("lr", 0.1, "best"), ["low", "high"]].tolist() == pytest.approx(alone)


def test_failed_runs_get_the_worst_score() -> None:
    runs = joined(configuration([4.0, 6.0], lr=0.1), configuration([20.0, None], lr=1.0))
    frame = sensitivity(runs)
    assert points(frame, "lr", "marginal") == [(0.1, 1, 2, 5.0), (1.0, 1, 2, 12.0)]
    assert frame["failed"].tolist() == [0, 1]


def test_each_environment_has_its_own_factors() -> None:
    other = joined(*(configuration([1.0, 2.0], environment="Acrobot-v1", lr=0.1, width=width) for width in (8, 16)))
    frame = sensitivity(joined(grid(), other))
    assert frame[["environment", "factor"]].drop_duplicates().to_numpy().tolist() == [
        ["CartPole-v1", "lr"],
        ["CartPole-v1", "width"],
        ["Acrobot-v1", "width"],
    ]


def test_single_seeds_have_no_interval() -> None:
    runs = joined(configuration([1.0], lr=1), configuration([2.0], lr=2))
    assert sensitivity(runs)["low"].isna().all()


def test_a_single_factor_has_no_best_score() -> None:
    one = joined(configuration([1.0, 2.0], lr=1), configuration([2.0, 4.0], lr=2))
    frame = sensitivity(one)
    assert frame[["value", "score", "kind"]].to_numpy().tolist() == [[1, 1.5, "marginal"], [2, 3.0, "marginal"]]
    other = grid().assign(environment="Acrobot-v1", configuration="other " + grid()["configuration"])
    kinds = sensitivity(joined(one, other)).groupby("environment")["kind"].unique().map(list).to_dict()
    assert kinds == {"CartPole-v1": ["marginal"], "Acrobot-v1": ["marginal", "best"]}


def test_no_sensitivity_without_factors() -> None:
    assert sensitivity(configuration([1.0, 2.0], lr=1)).empty


def test_interaction_cells_are_means() -> None:
    more = configuration([7.0, 9.0], lr=0.1, width=8).assign(**{"param.depth": 2, "configuration": "deeper"})
    runs = joined(grid().assign(**{"param.depth": 1}), more)
    frame = interaction(runs, "lr", "width")
    cells = frame[["value_x", "value_y", "configurations", "n", "score"]].to_numpy().tolist()
    assert cells == [[0.1, 8, 2, 2, 5.0], [0.1, 16, 1, 2, 7.0], [0.2, 8, 1, 2, 10.0], [0.2, 16, 1, 2, 2.0]]
    swapped = interaction(runs, "width", "lr")
    assert swapped[["value_y", "value_x", "score"]].sort_values(["value_y", "value_x"]).to_numpy().tolist() == [
        [x, y, score] for x, y, _, _, score in cells
    ]


def test_missing_cells_have_no_row() -> None:
    runs = grid()
    runs = runs[(runs["param.lr"] == 0.1) | (runs["param.width"] == 8)]
    assert len(interaction(runs, "lr", "width")) == 3
    assert interaction(runs, "lr", "depth").empty


def test_null_is_a_cell_of_an_interaction() -> None:
    runs = joined(configuration([1.0], lr=1, clip=0.5), configuration([2.0], lr=1), configuration([3.0], lr=2))
    frame = interaction(runs, "lr", "clip")
    assert frame[["value_x", "value_y", "score"]].to_numpy().tolist() == [
        [1, 0.5, 1.0],
        [1, "null", 2.0],
        [2, "null", 3.0],
    ]


def test_row_order_does_not_matter() -> None:
    order = ["factor", "kind", "value"]
    found = [sensitivity(runs).sort_values(order, ignore_index=True) for runs in (grid(), grid().iloc[::-1])]
    pd.testing.assert_frame_equal(*found)
