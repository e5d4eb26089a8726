"""Normalised scores across environments."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pgexp.comparison.across_environments import (
    COLUMNS,
    ONLY,
    across_environments,
    across_environments_notes,
    names_without_environment,
    read_scale,
    score_scale,
)
from pgexp.schema.errors import UserError
from tests.comparison.seed_frames import seed_runs

SCALE = pd.DataFrame({"environment": ["CartPole-v1", "Acrobot-v1"], "low": [0.0, -500.0], "high": [500.0, 0.0]})


def two(cartpole: dict[str, list[float]], acrobot: dict[str, list[float]]) -> pd.DataFrame:
    """Return the runs of two environments, with the names of a sweep over both."""
    of_cartpole = seed_runs({f"env=cartpole {name}": scores for name, scores in cartpole.items()})
    of_acrobot = seed_runs(
        {f"env=acrobot {name}": scores for name, scores in acrobot.items()}, environment="Acrobot-v1"
    )
    return pd.concat([of_cartpole, of_acrobot], ignore_index=True)


def test_no_rows_for_one_environment() -> None:
    runs = seed_runs({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    assert across_environments(runs).empty
    assert across_environments_notes(runs) == []
    assert "scale is not used" in across_environments_notes(runs, SCALE)[0]


def test_estimates_with_a_scale() -> None:
    runs = two({"lr=1": [100.0, 200.0, 300.0, 400.0]}, {"lr=1": [-400.0, -300.0, -200.0, -100.0]})
    frame = across_environments(runs, SCALE)
    assert tuple(frame.columns) == COLUMNS
    row = frame.iloc[0]
    assert row[["configuration_name", "environments", "n"]].tolist() == ["lr=1", 2, 8]
    assert row[["mean", "median"]].tolist() == pytest.approx([0.5, 0.5])
    assert row["iqm"] == pytest.approx(stats.trim_mean([0.2, 0.4, 0.6, 0.8] * 2, 0.25))
    assert row["optimality_gap"] == pytest.approx(0.5)
    assert row["iqm_low"] < row["iqm"] < row["iqm_high"]


def test_default_scale_is_the_range_of_scores() -> None:
    runs = two({"lr=1": [0.0, 100.0], "lr=2": [200.0, 400.0]}, {"lr=1": [-50.0, -40.0], "lr=2": [-30.0, -10.0]})
    frame = across_environments(runs).set_index("configuration_name")
    assert frame["mean"].to_dict() == pytest.approx({"lr=1": (0.125 + 0.125) / 2, "lr=2": (0.75 + 0.75) / 2})
    assert "the least and greatest score of these runs" in " ".join(across_environments_notes(runs))
    assert across_environments_notes(runs, SCALE) == []


def test_score_scale_has_a_row_per_scored_environment() -> None:
    runs = two({"lr=1": [0.0, 100.0], "lr=2": [np.nan, 50.0]}, {"lr=1": [-50.0, -40.0]})
    assert list(score_scale(runs).columns) == list(SCALE.columns)
    assert score_scale(runs).to_numpy().tolist() == [["CartPole-v1", 0, 100], ["Acrobot-v1", -50, -40]]
    assert score_scale(runs, SCALE[::-1]).to_numpy().tolist() == [["CartPole-v1", 0, 500], ["Acrobot-v1", -500, 0]]
    assert score_scale(two({"a": [1.0, 2.0]}, {"a": [np.nan]}), SCALE).to_numpy().tolist() == [["CartPole-v1", 1, 2]]


def test_runs_without_a_score_are_ignored() -> None:
    runs = two({"lr=1": [0.0, 100.0, np.nan]}, {"lr=1": [-50.0, -40.0]})
    assert across_environments(runs, SCALE)["n"].tolist() == [4]


def test_incomplete_configurations_are_named() -> None:
    runs = two({"lr=1": [0.0, 1.0], "lr=2": [2.0, 3.0]}, {"lr=1": [-50.0, -40.0], "lr=3": [-30.0, -10.0]})
    assert across_environments(runs)["configuration_name"].tolist() == ["lr=1"]
    assert any(note.endswith("missing on some: lr=2, lr=3.") for note in across_environments_notes(runs))


def test_equal_scores_are_not_normalised() -> None:
    runs = two({"lr=1": [500.0, 500.0], "lr=2": [500.0, 500.0]}, {"lr=1": [-50.0, -40.0], "lr=2": [-30.0, -10.0]})
    assert across_environments(runs).empty
    (note,) = across_environments_notes(runs)
    assert "equal on CartPole-v1" in note
    assert len(across_environments(runs, SCALE)) == 2


def test_an_incomplete_scale_is_rejected() -> None:
    runs = two({"lr=1": [0.0, 1.0]}, {"lr=1": [-50.0, -40.0]})
    with pytest.raises(UserError, match="no line for Acrobot-v1"):
        across_environments(runs, SCALE[:1])


def test_read_scale(tmp_path: Path) -> None:
    (tmp_path / "scale.csv").write_text("environment,source,low,high\nCartPole-v1,random,9.3,500\n")
    assert read_scale(tmp_path / "scale.csv").to_numpy().tolist() == [["CartPole-v1", 9.3, 500]]


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("environment,low\na,1\n", r"must have the columns environment, low, high \(got environment, low\)"),
        ("environment,low,high\na,1,2\nb,2,2\n", "line 3 of"),
        ("environment,low,high\na,1,inf\n", "line 2 of"),
        ("environment,low,high\na,x,2\n", "line 2 of"),
        ("environment,low,high\na,1,2\na,1,2\n", "line 3 of"),
        ("", "cannot read"),
        ("\0\n1,2,3,4\n", "--scale: "),
    ],
)
def test_bad_scales_are_rejected(tmp_path: Path, text: str, fragment: str) -> None:
    (tmp_path / "scale.csv").write_text(text)
    with pytest.raises(UserError, match=fragment) as raised:
        read_scale(tmp_path / "scale.csv")
    assert "\n" not in str(raised.value), "one sentence"


def test_a_missing_scale_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot read .*gone\.csv"):
        read_scale(tmp_path / "gone.csv")


def test_names_without_environment() -> None:
    runs = two({"lr=1 env.num_envs=4": [0.0], "lr=2 env.num_envs=4": [0.0]}, {"lr=1": [0.0], "lr=2": [0.0]})
    assert names_without_environment(runs).tolist() == ["lr=1", "lr=2", "lr=1", "lr=2"]


def test_name_of_the_only_configuration() -> None:
    runs = [seed_runs({"env=cartpole": [0.0]}), seed_runs({"env=acrobot": [0.0]}, environment="Acrobot-v1")]
    assert names_without_environment(pd.concat(runs, ignore_index=True)).tolist() == [ONLY, ONLY]


def test_environment_keys_that_differ_stay_in_the_name() -> None:
    runs = two({"env.num_envs=4": [0.0], "env.num_envs=8": [0.0]}, {"env.num_envs=4": [0.0], "env.num_envs=8": [0.0]})
    assert names_without_environment(runs).tolist() == ["env.num_envs=4", "env.num_envs=8"] * 2


def test_names_stay_whole_with_one_environment() -> None:
    assert names_without_environment(seed_runs({"env.num_envs=4 lr=1": [0.0]})).to_dict() == {
        "env.num_envs=4 lr=1": "env.num_envs=4 lr=1"
    }


def test_environments_without_a_score_are_named() -> None:
    runs = two({"lr=1": [0.0, 1.0], "lr=2": [2.0, 3.0]}, {"lr=1": [-50.0, -40.0], "lr=2": [-30.0, -10.0]})
    third = seed_runs({"env=pendulum lr=1": [np.nan], "env=pendulum lr=2": [np.nan]}, environment="Pendulum-v1")
    assert "Pendulum-v1" in " ".join(across_environments_notes(pd.concat([runs, third], ignore_index=True)))
    assert "Pendulum-v1" not in " ".join(across_environments_notes(runs))
