from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pgexp.comparison.store import ComparisonError
from pgexp.comparison.tasks import COLUMNS, ONE, read_scale, scale_of, settings, tasks, tasks_notes
from tests.comparison.by_hand import seed_runs

SCALE = pd.DataFrame({"environment": ["CartPole-v1", "Acrobot-v1"], "low": [0.0, -500.0], "high": [500.0, 0.0]})


def two(cartpole: dict[str, list[float]], acrobot: dict[str, list[float]]) -> pd.DataFrame:
    """Return the runs of two environments, as a sweep over both calls them."""
    of_cartpole = seed_runs({f"env=cartpole {name}": scores for name, scores in cartpole.items()})
    of_acrobot = seed_runs(
        {f"env=acrobot {name}": scores for name, scores in acrobot.items()}, environment="Acrobot-v1"
    )
    return pd.concat([of_cartpole, of_acrobot], ignore_index=True)


def test_one_environment_is_not_averaged() -> None:
    runs = seed_runs({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    assert tasks(runs).empty
    assert tasks_notes(runs) == []
    assert tasks_notes(runs, SCALE) == ["The scale has no part in this: there is one environment."]


def test_scores_are_averaged_over_environments_by_a_scale_that_is_given() -> None:
    runs = two({"lr=1": [100.0, 200.0, 300.0, 400.0]}, {"lr=1": [-400.0, -300.0, -200.0, -100.0]})
    frame = tasks(runs, SCALE)
    assert tuple(frame.columns) == COLUMNS
    row = frame.iloc[0]
    assert row[["configuration_name", "environments", "n"]].tolist() == ["lr=1", 2, 8]
    assert row[["mean", "median"]].tolist() == pytest.approx([0.5, 0.5])
    assert row["iqm"] == pytest.approx(stats.trim_mean([0.2, 0.4, 0.6, 0.8] * 2, 0.25))
    assert row["optimality_gap"] == pytest.approx(0.5)
    assert row["iqm_low"] < row["iqm"] < row["iqm_high"]


def test_by_default_the_scale_is_from_the_least_to_the_greatest_score_of_all_configurations() -> None:
    runs = two({"lr=1": [0.0, 100.0], "lr=2": [200.0, 400.0]}, {"lr=1": [-50.0, -40.0], "lr=2": [-30.0, -10.0]})
    frame = tasks(runs).set_index("configuration_name")
    assert frame["mean"].to_dict() == pytest.approx({"lr=1": (0.125 + 0.125) / 2, "lr=2": (0.75 + 0.75) / 2})
    assert "the least and the greatest score among these runs" in " ".join(tasks_notes(runs))
    assert tasks_notes(runs, SCALE) == []


def test_the_scale_has_a_row_for_each_environment_with_a_score() -> None:
    runs = two({"lr=1": [0.0, 100.0], "lr=2": [np.nan, 50.0]}, {"lr=1": [-50.0, -40.0]})
    assert list(scale_of(runs).columns) == list(SCALE.columns)
    assert scale_of(runs).to_numpy().tolist() == [["CartPole-v1", 0, 100], ["Acrobot-v1", -50, -40]]
    assert scale_of(runs, SCALE[::-1]).to_numpy().tolist() == [["CartPole-v1", 0, 500], ["Acrobot-v1", -500, 0]]
    assert scale_of(two({"a": [1.0, 2.0]}, {"a": [np.nan]}), SCALE).to_numpy().tolist() == [["CartPole-v1", 1, 2]]


def test_runs_without_a_score_have_no_part() -> None:
    runs = two({"lr=1": [0.0, 100.0, np.nan]}, {"lr=1": [-50.0, -40.0]})
    assert tasks(runs, SCALE)["n"].tolist() == [4]


def test_a_configuration_that_lacks_an_environment_is_named() -> None:
    runs = two({"lr=1": [0.0, 1.0], "lr=2": [2.0, 3.0]}, {"lr=1": [-50.0, -40.0], "lr=3": [-30.0, -10.0]})
    assert tasks(runs)["configuration_name"].tolist() == ["lr=1"]
    assert "Not averaged over environments, for want of scores on each: lr=2, lr=3." in tasks_notes(runs)


def test_equal_scores_are_not_normalised() -> None:
    runs = two({"lr=1": [500.0, 500.0], "lr=2": [500.0, 500.0]}, {"lr=1": [-50.0, -40.0], "lr=2": [-30.0, -10.0]})
    assert tasks(runs).empty
    assert tasks_notes(runs) == ["Nothing is averaged over environments: all scores are equal on CartPole-v1."]
    assert len(tasks(runs, SCALE)) == 2


def test_a_scale_that_lacks_an_environment_is_refused() -> None:
    runs = two({"lr=1": [0.0, 1.0]}, {"lr=1": [-50.0, -40.0]})
    with pytest.raises(ComparisonError, match="the scale has no line for Acrobot-v1"):
        tasks(runs, SCALE[:1])


def test_a_scale_is_read(tmp_path: Path) -> None:
    (tmp_path / "scale.csv").write_text("environment,source,low,high\nCartPole-v1,random,9.3,500\n")
    assert read_scale(tmp_path / "scale.csv").to_numpy().tolist() == [["CartPole-v1", 9.3, 500]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("environment,low\na,1\n", "needs the columns environment, low, high, not environment, low"),
        ("environment,low,high\na,1,2\nb,2,2\n", "line 3 of the scale"),
        ("environment,low,high\na,1,inf\n", "line 2 of the scale"),
        ("environment,low,high\na,x,2\n", "line 2 of the scale"),
        ("environment,low,high\na,1,2\na,1,2\n", "line 3 of the scale"),
        ("", "can't be read"),
        ("\0\n1,2,3,4\n", "the scale"),
    ],
)
def test_what_is_no_scale_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "scale.csv").write_text(text)
    with pytest.raises(ComparisonError, match=words) as refused:
        read_scale(tmp_path / "scale.csv")
    assert "\n" not in str(refused.value), "one sentence"


def test_a_missing_scale_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ComparisonError, match=r"gone\.csv can't be read"):
        read_scale(tmp_path / "gone.csv")


def test_a_setting_is_a_name_without_its_environment() -> None:
    runs = two({"lr=1 env.num_envs=4": [0.0], "lr=2 env.num_envs=4": [0.0]}, {"lr=1": [0.0], "lr=2": [0.0]})
    assert settings(runs).tolist() == ["lr=1", "lr=2", "lr=1", "lr=2"]


def test_the_only_configuration_of_each_environment_is_called_so() -> None:
    runs = [seed_runs({"env=cartpole": [0.0]}), seed_runs({"env=acrobot": [0.0]}, environment="Acrobot-v1")]
    assert settings(pd.concat(runs, ignore_index=True)).tolist() == [ONE, ONE]


def test_what_differs_within_an_environment_stays_in_the_setting() -> None:
    runs = two({"env.num_envs=4": [0.0], "env.num_envs=8": [0.0]}, {"env.num_envs=4": [0.0], "env.num_envs=8": [0.0]})
    assert settings(runs).tolist() == ["env.num_envs=4", "env.num_envs=8"] * 2


def test_the_name_of_a_lone_environment_s_configuration_is_its_setting() -> None:
    assert settings(seed_runs({"env.num_envs=4 lr=1": [0.0]})).to_dict() == {
        "env.num_envs=4 lr=1": "env.num_envs=4 lr=1"
    }


def test_an_environment_without_any_score_is_named() -> None:
    runs = two({"lr=1": [0.0, 1.0], "lr=2": [2.0, 3.0]}, {"lr=1": [-50.0, -40.0], "lr=2": [-30.0, -10.0]})
    third = seed_runs({"env=pendulum lr=1": [np.nan], "env=pendulum lr=2": [np.nan]}, environment="Pendulum-v1")
    told = "The averages over environments are without Pendulum-v1, where no run has a score."
    assert told in tasks_notes(pd.concat([runs, third], ignore_index=True))
    assert told not in tasks_notes(runs)
