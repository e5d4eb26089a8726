"""Frames of runs, sweeps and metrics from a store."""

import math
from pathlib import Path

import pandas as pd
import pytest

from pgexp.comparison import frames, mlflow_source
from pgexp.comparison.inclusion import UNSCORED, exclusion_reasons
from pgexp.comparison.run_frame import RUN_COLUMNS
from pgexp.schema import names
from pgexp.schema.errors import UserError
from pgexp.tracking import client as mlflow_client
from tests.comparison.recorded_store import RecordedStore


def test_row_of_a_seed_run(store: RecordedStore) -> None:
    store.sweep("s1")
    run = store.seed(3, 480.5, sweep="s1", threshold=475)
    row = frames.runs(store.uri).iloc[0]
    assert frames.runs(store.uri).shape[0] == 1, "parent runs are left out"
    assert row["run_id"] == run
    assert row["name"] == "baseline=none seed=3"
    assert (row["experiment"], row["sweep"], row["environment"]) == ("cartpole", "s1", "CartPole-v1")
    assert (row["configuration"], row["configuration_name"]) == ("key of baseline=none", "baseline=none")
    assert (row["seed"], row["status"]) == (3, "FINISHED")
    assert (row["threshold"], row[names.FINAL_RETURN]) == (475.0, 480.5)
    assert row["start"].year == 2023, "milliseconds since 1970, 1.7e12 of them"


def test_absent_scores_and_thresholds_are_nan(store: RecordedStore) -> None:
    store.seed(0, status="FAILED")
    row = frames.runs(store.uri).iloc[0]
    assert math.isnan(row["threshold"])
    assert math.isnan(row[names.FINAL_RETURN])
    assert row["status"] == "FAILED"


def test_pruned_and_killed_runs_differ(store: RecordedStore) -> None:
    store.seed(0, status="KILLED", tags={names.TAG_PRUNED: "true"})
    store.seed(1, status="KILLED")
    runs = frames.runs(store.uri).sort_values("seed")
    assert runs["status"].tolist() == ["PRUNED", "KILLED"]
    assert exclusion_reasons(runs).tolist() == [UNSCORED["PRUNED"], UNSCORED["KILLED"]]


def test_parameters_are_typed(store: RecordedStore) -> None:
    one = {"lr": 0.01, "n": 4, "own": True, "baseline": "value", "clip": None, "mixed": 1}
    other = {"lr": "1e-3", "own": False, "baseline": "none", "clip": 0.5, "mixed": "auto"}
    store.seed(0, sweep="s", name="a", params=one)
    store.seed(1, sweep="s", name="b", params=other)
    runs = frames.runs(store.uri)
    assert runs["param.lr"].tolist() == [0.01, 0.001]
    assert runs["param.n"].dtype == "Int64"
    assert runs["param.n"].iloc[0] == 4
    assert runs["param.n"].isna().tolist() == [False, True]
    assert runs["param.own"].dtype == "boolean"
    assert runs["param.own"].tolist() == [True, False]
    assert runs["param.baseline"].tolist() == ["value", "none"]
    assert runs["param.clip"].dtype == float
    assert runs["param.clip"].iloc[1] == 0.5
    assert runs["param.mixed"].tolist() == ["1", "auto"], "a column with texts stays text"


def test_rows_are_sorted_by_environment_name_and_seed(store: RecordedStore) -> None:
    for name, seed in (("lr=0.1", 1), ("lr=0.01", 10), ("lr=0.01", 9), ("lr=0.1", 0)):
        store.seed(seed, 0.0, name=name, sweep="s")
    store.seed(0, 0.0, name="lr=0.5", sweep="s", params={"env.id": "Acrobot-v1"})
    runs = frames.runs(store.uri)
    assert list(zip(runs["configuration_name"], runs["seed"], strict=True)) == [
        ("lr=0.5", 0),
        ("lr=0.01", 9),
        ("lr=0.01", 10),
        ("lr=0.1", 0),
        ("lr=0.1", 1),
    ]


def test_runs_of_a_sweep_or_an_experiment(store: RecordedStore) -> None:
    other = store.add_experiment("acrobot")
    store.seed(0, sweep="s1")
    store.seed(1, sweep="s2")
    store.seed(2, experiment=other)
    assert frames.runs(store.uri)["seed"].tolist() == [0, 1, 2]
    assert frames.runs(store.uri, sweeps="s2")["seed"].tolist() == [1]
    assert frames.runs(store.uri, experiment="acrobot")["seed"].tolist() == [2]
    assert frames.runs(store.uri, experiment="acrobot", sweeps="s2").empty


def test_unknown_experiment_lists_the_known_ones(store: RecordedStore) -> None:
    with pytest.raises(UserError, match=r"unknown experiment 'hopper'. The store has Default, cartpole"):
        frames.runs(store.uri, experiment="hopper")


def test_all_pages_are_read(store: RecordedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = {store.seed(seed) for seed in range(5)}
    monkeypatch.setattr(mlflow_client, "_PAGE", 2)
    runs = frames.runs(store.uri)
    assert set(runs["run_id"]) == ids
    assert runs["seed"].tolist() == [0, 1, 2, 3, 4]


def test_a_run_without_parameters_is_left_out(store: RecordedStore) -> None:
    store.client.create_run(store.experiment, tags={names.TAG_ROLE: names.ROLE_RUN})
    assert frames.runs(store.uri).empty


def test_sweeps_are_sorted_newest_first(store: RecordedStore) -> None:
    other = store.add_experiment("acrobot")
    store.sweep("first")
    store.sweep("second", experiment=other)
    store.sweep("third")
    assert frames.sweeps(store.uri)["sweep"].tolist() == ["third", "second", "first"]
    assert frames.sweeps(store.uri, "acrobot")["sweep"].tolist() == ["second"]


def test_a_store_without_runs_gives_empty_frames(store: RecordedStore) -> None:
    runs = frames.runs(store.uri)
    assert (len(runs), list(runs.columns)) == (0, list(RUN_COLUMNS))
    assert list(frames.sweeps(store.uri).columns) == list(frames.SWEEP_COLUMNS)
    assert list(frames.metrics(runs).columns) == list(frames.METRIC_COLUMNS)


def test_metrics_have_full_resolution_without_absent_values(store: RecordedStore) -> None:
    columns = {"steps": [5, 10, 15], "loss/policy": [0.5, 0.25, None], "evaluation/return_mean": [None, 20.0, None]}
    run = store.seed(7, columns=columns)
    store.seed(8, status="RUNNING")
    long = frames.metrics(frames.runs(store.uri))
    texts = {
        "run_id": [run] * 3,
        "configuration_name": ["baseline=none"] * 3,
        "metric": ["loss/policy", "loss/policy", "evaluation/return_mean"],
    }
    expected = {"seed": [7] * 3, "steps": [5, 10, 10], "value": [0.5, 0.25, 20.0]}
    pd.testing.assert_frame_equal(long.drop(columns=list(texts)), pd.DataFrame(expected))
    for column, each in texts.items():
        assert long[column].tolist() == each
        assert isinstance(long[column].dtype, pd.CategoricalDtype), "repeated texts are categorical"


def test_metrics_by_name(store: RecordedStore) -> None:
    columns = {"steps": [5, 10], "loss/policy": [0.5, 0.25], "evaluation/return_mean": [None, 20.0]}
    store.seed(0, columns=columns)
    store.seed(1, columns={"steps": [5], "loss/policy": [0.125]})
    runs = frames.runs(store.uri)
    chosen = frames.metrics(runs, names=["evaluation/return_mean", "unknown"])
    assert chosen[["seed", "steps", "value"]].to_numpy().tolist() == [[0, 10, 20.0]]
    assert set(chosen["metric"]) == {"evaluation/return_mean"}
    assert frames.metrics(runs, names=[]).empty


def test_measured_nan_is_kept(store: RecordedStore) -> None:
    store.seed(0, columns={"steps": [1, 2, 3, 4], "loss/policy": [math.nan, math.inf, None, 1.0]}, nan=True)
    long = frames.metrics(frames.runs(store.uri))
    assert long["steps"].tolist() == [1, 2, 4]
    assert math.isnan(long["value"][0])
    assert long["value"].tolist()[1:] == [math.inf, 1.0]


def test_folders_like_partitions_add_no_metric(fresh_store: Path, tmp_path: Path) -> None:
    folder = tmp_path / "course=rl"
    folder.mkdir()
    store = RecordedStore(fresh_store, folder)
    store.seed(0, columns={"steps": [1], "loss/policy": [2.0]})
    assert frames.metrics(frames.runs(store.uri))["metric"].tolist() == ["loss/policy"]


def test_remote_artifacts_are_downloaded(store: RecordedStore) -> None:
    store.seed(0, columns={"steps": [1], "loss/policy": [2.0]})
    store.seed(1)
    runs = frames.runs(store.uri).assign(artifacts="mlflow-artifacts:/somewhere")
    long = frames.metrics(runs, store.uri)
    assert long[["seed", "value"]].to_numpy().tolist() == [[0, 2.0]]


def test_a_damaged_artifact_is_named(store: RecordedStore) -> None:
    store.seed(0, columns={"steps": [1], "loss/policy": [2.0]})
    (damaged,) = (store.folder / "artifacts").rglob(names.METRICS_FILE)
    damaged.write_bytes(b"PAR1 no more")
    with pytest.raises(UserError, match=str(damaged)):
        frames.metrics(frames.runs(store.uri))


def test_a_reused_run_belongs_to_both_sweeps(store: RecordedStore) -> None:
    store.sweep("old")
    store.sweep("new")
    reused = store.seed(0, 1.0, name="lr=0.1", sweep="old", configuration="key")
    store.seed(1, 2.0, name="gamma=0.5 lr=0.1", sweep="new", configuration="key")
    store.client.set_tag(reused, names.member_tag("new"), names.REUSED)
    columns = ["seed", "sweep", "configuration_name"]
    assert frames.runs(store.uri, sweeps="new")[columns].to_numpy().tolist() == [
        [0, "new", "gamma=0.5 lr=0.1"],
        [1, "new", "gamma=0.5 lr=0.1"],
    ]
    assert frames.runs(store.uri, sweeps="old")[columns].to_numpy().tolist() == [[0, "old", "lr=0.1"]]
    assert len(frames.runs(store.uri)) == 2
    both = frames.runs(store.uri, sweeps=["old", "new"])
    assert both[["seed", "sweep"]].to_numpy().tolist() == [[0, "old"], [1, "new"]], "each run once"


def test_fresh_seeds_join_their_configuration(store: RecordedStore) -> None:
    for seed, lr in ((0, 0.1), (1, 0.1), (0, 0.2), (1, 0.2)):
        store.seed(seed, sweep="first", name=f"lr={lr}", configuration=f"key {lr}", params={"lr": lr, "gamma": 0.9})
    store.seed(5, sweep="fresh", name="cartpole", configuration="key 0.2", params={"lr": 0.2, "gamma": 0.9})
    store.seed(6, sweep="other", name="lr=0.3", configuration="key 0.3", params={"lr": 0.3, "gamma": 0.9})
    runs = frames.runs(store.uri, sweeps=["first", "fresh"])
    assert runs.groupby("configuration_name")["seed"].agg(list).to_dict() == {"lr=0.1": [0, 1], "lr=0.2": [0, 1, 5]}
    assert frames.runs(store.uri, sweeps=[]).empty


def test_runs_by_id(store: RecordedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [store.seed(seed, sweep="s1") for seed in range(5)]
    alone = store.seed(7)
    monkeypatch.setattr(mlflow_source, "_MAX_IDS", 2)  # so that five ids need three queries
    assert frames.runs(store.uri, ids=[*ids[:4], alone])["seed"].tolist() == [0, 1, 2, 3, 7]
    assert frames.runs(store.uri, ids=[ids[2], alone])["seed"].tolist() == [2, 7]
    assert frames.runs(store.uri, sweeps="s1", ids=[ids[2]])["seed"].tolist() == [2]
    assert frames.runs(store.uri, ids=[]).empty
    with pytest.raises(UserError, match=f"no seed run {alone}"):
        frames.runs(store.uri, sweeps="s1", ids=[ids[2], alone])


def test_code_and_reason_of_a_run(store: RecordedStore) -> None:
    tags = {names.TAG_CODE: "c0de", names.TAG_DIRTY: "true", names.TAG_NONFINITE: "3", names.TAG_REASON: "diverged"}
    store.seed(0, tags=tags)
    store.seed(1)
    found = frames.runs(store.uri)[["code", "dirty", "nonfinite", "reason", "folder"]]
    assert found.iloc[0].tolist() == ["c0de", True, 3.0, "diverged", str(store.folder)]
    assert found.iloc[1].isna().tolist() == [False, True, True, False, False]
    assert found.iloc[1][["code", "reason"]].tolist() == ["", ""]
