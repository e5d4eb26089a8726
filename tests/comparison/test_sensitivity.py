import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pgexp.comparison.sensitivity import hyperparameter_sensitivity, interaction, sensitivity, sensitivity_notes
from tests.comparison.scored import configuration, joined

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


def test_marginal_is_the_mean_over_all_that_have_the_value_and_best_that_of_the_best() -> None:
    frame = sensitivity(grid())
    assert points(frame, "lr", "marginal") == [(0.1, 2, 2, 4.5), (0.2, 2, 2, 6.0)]
    assert points(frame, "lr", "best") == [(0.1, 1, 2, 7.0), (0.2, 1, 2, 10.0)]
    assert points(frame, "width", "marginal") == [(8, 2, 2, 6.0), (16, 2, 2, 4.5)]
    assert points(frame, "width", "best") == [(8, 1, 2, 10.0), (16, 1, 2, 7.0)]
    assert frame["environment"].unique().tolist() == ["CartPole-v1"]


def test_intervals_are_over_seeds_that_all_configurations_share() -> None:
    frame = sensitivity(grid()).set_index(["factor", "value", "kind"])
    per_seed = np.array([(1 + 5) / 2, (3 + 9) / 2])
    expected = stats.t.interval(0.95, 1, per_seed.mean(), stats.sem(per_seed))
    assert frame.loc[("lr", 0.1, "marginal"), ["low", "high"]].tolist() == pytest.approx(expected)
    alone = stats.t.interval(0.95, 1, 7, stats.sem([5, 9]))
    assert frame.loc[("lr", 0.1, "best"), ["low", "high"]].tolist() == pytest.approx(alone)


def test_failed_runs_pull_down_the_value_at_which_they_failed() -> None:
    runs = joined(configuration([4.0, 6.0], lr=0.1), configuration([20.0, None], lr=1.0))
    frame = sensitivity(runs)
    assert points(frame, "lr", "marginal") == [(0.1, 1, 2, 5.0), (1.0, 1, 2, 12.0)]
    assert frame["failed"].tolist() == [0, 1]
    assert "1 of 4 runs failed, and are judged as the worst score of their environment." in sensitivity_notes(runs)


def test_environments_are_apart_and_each_has_its_own_factors() -> None:
    other = joined(*(configuration([1.0, 2.0], environment="Acrobot-v1", lr=0.1, width=width) for width in (8, 16)))
    frame = sensitivity(joined(grid(), other))
    assert frame[["environment", "factor"]].drop_duplicates().to_numpy().tolist() == [
        ["CartPole-v1", "lr"],
        ["CartPole-v1", "width"],
        ["Acrobot-v1", "width"],
    ]


def test_a_single_seed_has_a_point_without_an_interval() -> None:
    runs = joined(configuration([1.0], lr=1), configuration([2.0], lr=2))
    assert sensitivity(runs)["low"].isna().all()
    assert sensitivity_notes(runs) == ["No interval at 2 of 2 points, where a configuration has a single seed."]


def test_the_only_factor_of_an_environment_has_no_other_to_be_tuned() -> None:
    one = joined(configuration([1.0, 2.0], lr=1), configuration([2.0, 4.0], lr=2))
    frame = sensitivity(one)
    assert frame[["value", "score", "kind"]].to_numpy().tolist() == [[1, 1.5, "marginal"], [2, 3.0, "marginal"]]
    other = grid().assign(environment="Acrobot-v1", configuration="other " + grid()["configuration"])
    kinds = sensitivity(joined(one, other)).groupby("environment")["kind"].unique().map(list).to_dict()
    assert kinds == {"CartPole-v1": ["marginal"], "Acrobot-v1": ["marginal", "best"]}


def test_without_factors_there_is_no_sensitivity() -> None:
    assert sensitivity(configuration([1.0, 2.0], lr=1)).empty
    assert "there is no sensitivity" in sensitivity_notes(configuration([1.0, 2.0], lr=1))[0]


def test_a_cell_of_an_interaction_is_the_mean_of_its_configurations() -> None:
    more = configuration([7.0, 9.0], lr=0.1, width=8).assign(**{"param.depth": 2, "configuration": "deeper"})
    runs = joined(grid().assign(**{"param.depth": 1}), more)
    frame = interaction(runs, "lr", "width")
    cells = frame[["value_x", "value_y", "configurations", "n", "score"]].to_numpy().tolist()
    assert cells == [[0.1, 8, 2, 2, 5.0], [0.1, 16, 1, 2, 7.0], [0.2, 8, 1, 2, 10.0], [0.2, 16, 1, 2, 2.0]]
    swapped = interaction(runs, "width", "lr")
    assert swapped[["value_y", "value_x", "score"]].sort_values(["value_y", "value_x"]).to_numpy().tolist() == [
        [x, y, score] for x, y, _, _, score in cells
    ]


def test_missing_cells_have_no_row_and_what_is_no_factor_has_none() -> None:
    runs = grid()
    runs = runs[(runs["param.lr"] == 0.1) | (runs["param.width"] == 8)]
    assert len(interaction(runs, "lr", "width")) == 3
    assert interaction(runs, "lr", "depth").empty


def test_null_is_a_cell_where_it_is_the_only_value_of_its_column() -> None:
    runs = joined(configuration([1.0], lr=1, clip=0.5), configuration([2.0], lr=1), configuration([3.0], lr=2))
    frame = interaction(runs, "lr", "clip")
    assert frame[["value_x", "value_y", "score"]].to_numpy().tolist() == [
        [1, 0.5, 1.0],
        [1, "null", 2.0],
        [2, "null", 3.0],
    ]


def environments(*scores: dict[tuple[str, int], float]) -> pd.DataFrame:
    """Return the runs of two seeds about the scores of each method and rate, in an environment each."""
    return joined(
        *(
            configuration([score - 1, score + 1], environment=f"Task-v{number}", baseline=method, lr=rate)
            for number, each in enumerate(scores)
            for (method, rate), score in each.items()
        )
    )


def test_sensitivity_is_tuned_less_fixed_performance_of_each_method() -> None:
    """In both tasks the percentiles are 1.5 and 28.5 of 0, 10, 20, 30."""
    first = {("a", 1): 0.0, ("a", 2): 30.0, ("b", 1): 10.0, ("b", 2): 20.0}
    second = {("a", 1): 30.0, ("a", 2): 0.0, ("b", 1): 10.0, ("b", 2): 20.0}
    frame = hyperparameter_sensitivity(environments(first, second), ["baseline"]).set_index("method")
    a, b = frame.loc["baseline=a"], frame.loc["baseline=b"]
    assert (a["environments"], a["settings"], b["setting"]) == (2, 2, "lr=2")
    assert a["tuned"] == pytest.approx((30 - 1.5) / 27)
    assert a["fixed"] == pytest.approx((15 - 1.5) / 27)
    assert a["sensitivity"] == pytest.approx(15 / 27)
    assert b["tuned"] == b["fixed"] == pytest.approx((20 - 1.5) / 27)
    assert a["low"] <= a["sensitivity"] <= a["high"]


def test_settings_that_not_every_environment_has_are_left_out() -> None:
    first = {("a", 1): 0.0, ("a", 2): 10.0, ("a", 3): 99.0, ("c", 5): 1.0, ("c", 6): 2.0}
    second = {("a", 1): 10.0, ("a", 2): 0.0, ("c", 7): 1.0, ("c", 8): 2.0}
    frame = hyperparameter_sensitivity(environments(first, second), ["baseline"]).set_index("method")
    assert frame["settings"].to_dict() == {"baseline=a": 2, "baseline=c": 0}
    assert np.isnan(frame.loc["baseline=c", "sensitivity"])


def test_one_environment_has_no_hyperparameter_sensitivity() -> None:
    assert hyperparameter_sensitivity(grid()).empty
    assert hyperparameter_sensitivity(grid().iloc[:0]).empty


def test_without_methods_all_settings_are_of_one() -> None:
    scores = {("a", rate): float(rate) for rate in range(4)}
    (row,) = hyperparameter_sensitivity(environments(scores, scores)).to_dict("records")
    assert (row["method"], row["settings"], row["sensitivity"], row["setting"]) == ("", 4, 0.0, "lr=3")


def test_rows_in_another_order_change_nothing() -> None:
    order = ["factor", "kind", "value"]
    found = [sensitivity(runs).sort_values(order, ignore_index=True) for runs in (grid(), grid().iloc[::-1])]
    pd.testing.assert_frame_equal(*found)


def test_an_interval_without_width_is_told() -> None:
    runs = joined(configuration([1.0, None], lr=0.1), configuration([2.0, 3.0], lr=0.2))
    told = "An interval without width at 1 of 2 points, where every seed is judged alike: other scores may be possible."
    assert told in sensitivity_notes(runs)
