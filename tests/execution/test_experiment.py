"""What an experiment leaves of its runs: when it goes well, is interrupted, breaks, or loses one to divergence."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from pgexp.schema.streams import integer
from pgexp.storage.tables import write_tables
from tests.conftest import Compose
from tests.execution.conftest import Train, Trained

NAN = "the gradient's norm is nan"


def deed(what: str, seed: int, episode: int) -> tuple[str, str]:
    """Return the overrides that have the clock do a deed in an episode of a run's first slot."""
    return f"+env.kwargs.deed='{what}'", f"+env.kwargs.when={integer(seed, 'env', 0, episode)}"


def told(trained: Trained, run: int = 0) -> list[str]:
    """Return the lines of a run's log, without their times."""
    return [line.partition("  ")[2] for line in (trained.folders[run] / "run.log").read_text().splitlines()]


def assert_policy_is_kept(trained: Trained, run: int = 0) -> None:
    kept = load_file(trained.folders[run] / "policy" / "policy.safetensors")
    assert kept.keys() == trained.pack.stacked.keys()
    for name, tensor in trained.pack.stacked.items():
        np.testing.assert_array_equal(kept[name], tensor[run].detach().numpy())


def test_each_update_is_a_row_at_the_steps_after_it(clock: Compose, experiment: Train) -> None:
    trained = experiment(clock()).run()
    rows = trained.rows(0, "train")
    assert [row.steps for row in rows] == [8, 16, 24, 32]
    assert [row.progress for row in rows] == [0.25, 0.5, 0.75, 1.0]
    assert [row.metrics["progress/updates"] for row in rows] == [1, 2, 3, 4]
    assert [row.metrics["progress/episodes"] for row in rows] == [2, 4, 6, 8]
    assert {row.metrics["train/episode_length_mean"] for row in rows} == {4}
    assert all(row.metrics["timing/steps_per_second"] > 0 for row in rows)


def test_a_run_that_finished_has_all_its_record(clock: Compose, experiment: Train) -> None:
    trained = experiment(clock("seed=4")).run()
    assert trained.end() == ("FINISHED", "")
    assert (trained.experiment.failures, list(trained.experiment.outcomes)) == ({}, [0])
    log = told(trained)
    assert log[0] == "training tests.execution.own.mine:Clock-v0 with seed 4"
    assert log[1].startswith("final at 32 steps: mean return ")
    assert log[2:] == ["finished"]
    assert_policy_is_kept(trained)


def test_an_action_without_bounds_is_described_without_bounds(clock: Compose, experiment: Train) -> None:
    trained = experiment(clock("env.id=tests.execution.own.mine:Blind-v0")).run()
    kept = json.loads((trained.folders[0] / "policy" / "policy.json").read_text())
    assert kept["action_space"] == {"kind": "box", "size": 4, "counts": [], "low": [None] * 4, "high": [None] * 4}


def test_a_policy_is_kept_with_what_it_takes_to_act_by_it(clock: Compose, experiment: Train) -> None:
    trained = experiment(clock("dtype=float64")).run()
    assert json.loads((trained.folders[0] / "policy" / "policy.json").read_text()) == {
        "action_space": {"kind": "discrete", "size": 1, "counts": [2], "low": [], "high": []},
        "dtype": "float64",
        "env": {
            "id": "tests.execution.own.mine:Clock-v0",
            "kwargs": {},
            "max_episode_steps": None,
            "slots": None,
            "vectorization": "auto",
            "wrappers": [],
            "normalize_observations": False,
            "clip_observations": 10.0,
        },
        "head": {"_target_": "pgexp.networks.heads.automatic.AutomaticHead"},
        "network": {
            "_target_": "pgexp.networks.linear.Linear",
            "bias": True,
            "gain": 1.0,
            "initialization": "zeros",
        },
        "observation_shape": [1],
        "shared_value": False,
        "steps": 32,
    }


def test_budgets_of_episodes_are_kept_too(clock: Compose, experiment: Train) -> None:
    trained = experiment(clock("budget.steps=null", "budget.episodes=5")).run()
    assert trained.steps(0, "train") == [8, 16, 24]
    assert [row.progress for row in trained.rows(0, "train")] == [0.4, 0.8, 1.0]


@pytest.mark.parametrize(
    ("what", "raised", "status", "reason"),
    [
        ("interrupt", KeyboardInterrupt, "KILLED", "interrupted"),
        ("fail", RuntimeError, "FAILED", "RuntimeError: the motor is stuck"),
    ],
)
def test_a_pack_that_is_stopped_keeps_the_record_of_every_run_up_to_then(
    clock: Compose, experiment: Train, what: str, raised: type[BaseException], status: str, reason: str
) -> None:
    deeds = deed(what, seed=1, episode=2)
    trained = experiment(clock("seed=0", *deeds), clock("seed=1", *deeds))
    with pytest.raises(raised):
        trained.run()
    for run in (0, 1):
        assert trained.steps(run) == [8, 16]
        assert trained.end(run) == (status, reason)
        assert told(trained, run)[-1] == f"{status.lower()}: {reason}"
        assert_policy_is_kept(trained, run)


def test_runs_that_had_left_a_pack_before_it_is_stopped_stay_as_they_were(clock: Compose, experiment: Train) -> None:
    deeds = deed("interrupt", seed=1, episode=3)
    trained = experiment(clock("seed=0", *deeds, "budget.steps=8"), clock("seed=1", *deeds))
    with pytest.raises(KeyboardInterrupt):
        trained.run()
    assert trained.end(0) == ("FINISHED", "")
    assert trained.end(1) == ("KILLED", "interrupted")


def test_a_run_that_diverges_fails_alone(clock: Compose, experiment: Train) -> None:
    deeds = deed("pay NaN", seed=1, episode=1)
    trained = experiment(*(clock(f"seed={seed}", *deeds) for seed in range(3))).run()
    assert trained.experiment.failures == {1: NAN}
    assert trained.steps(1) == [8]
    assert trained.end(1) == ("FAILED", NAN)
    assert [trained.end(run)[0] for run in (0, 2)] == ["FINISHED", "FINISHED"]
    assert set(trained.experiment.outcomes) == {0, 2}


def test_the_policy_of_a_run_that_diverged_is_its_last_finite_one(clock: Compose, experiment: Train) -> None:
    trained = experiment(clock(*deed("pay NaN", seed=0, episode=1))).run()
    kept = load_file(trained.folders[0] / "policy" / "policy.safetensors")
    assert all(np.isfinite(tensor).all() for tensor in kept.values())


def test_the_neighbours_of_a_run_that_diverges_keep_their_bits(clock: Compose, experiment: Train) -> None:
    deeds = deed("pay NaN", seed=1, episode=1)
    configs = [clock(f"seed={seed}", *deeds, "evaluation.every=8") for seed in range(3)]
    pack = experiment(*configs).run()
    for run in range(3):
        alone = experiment(configs[run]).run()
        assert table(pack.folders[run]) == table(alone.folders[0])


def test_an_evaluation_that_waits_is_in_the_record_before_its_run_diverges(clock: Compose, experiment: Train) -> None:
    """Seed 0's batches have 11 and 7 steps, seed 3's 5 and 8: seed 0 is due at 11, waits, and fails in its second."""
    common = ("+env.kwargs.length=0", *deed("pay NaN", seed=0, episode=1), "evaluation.every=10")
    trained = experiment(clock("seed=0", *common), clock("seed=3", *common)).run()
    assert trained.steps(1, "train")[:2] == [5, 13]
    assert trained.steps(0) == [11, 11]
    assert trained.end(0) == ("FAILED", NAN)


def table(folder: Path) -> bytes:
    write_tables(folder)
    return (folder / "metrics.parquet").read_bytes()
