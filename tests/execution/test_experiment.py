"""What an experiment leaves of its runs: when it goes well, is interrupted, breaks, or loses one to divergence."""

import json
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file

from pgexp.execution.checkpoints import policy_of, read_state
from pgexp.execution.journal import Journal
from pgexp.learning.policy import Policy
from pgexp.learning.state import State
from pgexp.schema.identity import run_key
from pgexp.schema.streams import integer
from pgexp.storage.tables import write_tables
from tests.conftest import Compose
from tests.execution.conftest import Train, Trained

NAN = "the environment gave a reward of nan at step 0 of episode 1 in slot 0, each counted from 0"


def deed(what: str, seed: int, episode: int) -> tuple[str, str]:
    """Return the overrides that have the clock do a deed in an episode of a run's first slot."""
    return f"+env.kwargs.deed='{what}'", f"+env.kwargs.when={integer(seed, 'env', 0, episode)}"


def told(trained: Trained, run: int = 0) -> list[str]:
    """Return the lines of a run's log, without their times."""
    return [line.partition("  ")[2] for line in (trained.folders[run] / "run.log").read_text().splitlines()]


def last(trained: Trained, run: int = 0) -> State:
    """Return the state that a run goes on from."""
    state = read_state(trained.folders[run], run_key(trained.pack.configs[run]))
    assert state is not None
    return state


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
    assert trained.is_complete()
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
        "seed": 0,
        "steps": 32,
        "observation_shape": [1],
        "observation_dtype": "float32",
        "pictures": False,
        "action_shape": [],
        "action_dtype": "int64",
        "action_start": [0],
        "memory_size": 0,
        "shared_value": False,
        "greedy": False,
        "slots": 20,
    }


def test_budgets_of_episodes_are_kept_too(clock: Compose, experiment: Train) -> None:
    trained = experiment(clock("budget.steps=null", "budget.episodes=5")).run()
    assert trained.steps(0, "train") == [8, 16, 24]
    assert [row.progress for row in trained.rows(0, "train")] == [0.4, 0.8, 1.0]


def assert_stopped_in_the_third_update(trained: Trained, status: str, reason: str) -> None:
    for run in (0, 1):
        assert trained.steps(run) == [8, 16]
        assert trained.end(run) == (status, reason)
        assert not trained.is_complete(run)
        assert told(trained, run)[-1] == f"{status.lower()}: {reason}"
        assert columns(trained, run) == [8, 16]
        # Whether its parameters were stepped on already is not known: they are no policy of any moment.
        assert not (trained.folders[run] / "policy").exists()
        assert not (trained.folders[run] / "checkpoint").exists()


def test_a_pack_that_is_interrupted_amid_an_update_keeps_the_record_of_every_run_up_to_then(
    clock: Compose, experiment: Train
) -> None:
    deeds = deed("interrupt", seed=1, episode=2)
    trained = experiment(clock("seed=0", *deeds), clock("seed=1", *deeds))
    with pytest.raises(KeyboardInterrupt):
        trained.run()
    assert_stopped_in_the_third_update(trained, "KILLED", "interrupted")


def test_an_error_that_is_no_run_s_own_stops_the_pack_and_fails_every_run(
    clock: Compose, experiment: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch has four steps of two slots, so that the ninth time that the policies act is in the third update."""
    trained, act, calls = experiment(clock("seed=0"), clock("seed=1")), Policy.act, []

    def acting(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 9:
            raise RuntimeError("the stack is broken")
        return act(*arguments)

    monkeypatch.setattr(Policy, "act", acting)
    with pytest.raises(RuntimeError):
        trained.run()
    assert_stopped_in_the_third_update(trained, "FAILED", "RuntimeError: the stack is broken")
    for folder in trained.folders:
        assert (folder / "error.txt").read_text().endswith("RuntimeError: the stack is broken\n")


@pytest.mark.parametrize("what", ["SIGINT", "SIGTERM"])
def test_an_interrupt_lets_the_update_in_hand_end_and_keeps_a_checkpoint(
    clock: Compose, experiment: Train, what: str
) -> None:
    deeds = deed(what, seed=1, episode=2)
    trained = experiment(clock("seed=0", *deeds, "evaluation.every=24"), clock("seed=1", *deeds, "evaluation.every=24"))
    with pytest.raises(KeyboardInterrupt):
        trained.run()
    for run in (0, 1):
        assert trained.steps(run, "train") == [8, 16, 24]
        assert trained.steps(run, "evaluation") == [24]  # what is due is made, or it would lack after the checkpoint
        assert trained.end(run) == ("KILLED", "interrupted")
        assert not trained.is_complete(run)
        state = last(trained, run)
        assert state.counters == {"steps": 24, "episodes": 6, "updates": 3}
        assert state.parameters.keys() == trained.pack.stacked.keys()
        for name, tensor in trained.pack.stacked.items():
            np.testing.assert_array_equal(state.parameters[name][0], tensor[run].detach())
        assert not (trained.folders[run] / "policy").exists()


def test_a_second_interrupt_does_not_wait_for_the_update_in_hand(clock: Compose, experiment: Train) -> None:
    trained = experiment(clock(*deed("SIGINT twice", seed=0, episode=2)))
    with pytest.raises(KeyboardInterrupt):
        trained.run()
    assert trained.steps() == [8, 16]
    assert trained.end() == ("KILLED", "interrupted")
    assert not (trained.folders[0] / "checkpoint").exists()


def test_the_signals_are_given_back_afterwards(clock: Compose, experiment: Train) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(KeyboardInterrupt):
        experiment(clock(*deed("SIGINT", seed=0, episode=0))).run()
    experiment(clock()).run()
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_run_that_finished_keeps_the_state_that_it_ended_in(clock: Compose, experiment: Train) -> None:
    trained = experiment(clock()).run()
    state = last(trained)
    assert state.counters == {"steps": 32, "episodes": 8, "updates": 4}
    for name, tensor in trained.pack.stacked.items():
        np.testing.assert_array_equal(state.parameters[name][0], tensor[0].detach())


def test_the_best_of_a_run_is_the_first_policy_with_its_highest_evaluation(clock: Compose, experiment: Train) -> None:
    trained = experiment(clock("evaluation.every=8", "optimizer.lr=1", "seed=3")).run()
    means = [row.metrics["evaluation/return_mean"] for row in trained.rows(0, "evaluation")]
    assert len({*means}) > 1
    tensors, description = policy_of(trained.folders[0], "best")
    assert description.steps == 8 * (1 + means.index(max(means)))
    assert tensors.keys() == trained.pack.stacked.keys()


def test_a_run_without_evaluations_has_no_best(clock: Compose, experiment: Train) -> None:
    trained = experiment(clock()).run()
    assert [path.name for path in (trained.folders[0] / "checkpoint").iterdir()] == ["last.safetensors"]


def test_each_part_of_a_run_adds_to_its_cost(clock: Compose, experiment: Train) -> None:
    trained = experiment(clock(), clock("seed=1")).run()
    for folder in trained.folders:
        cost = json.loads((folder / "provenance" / "cost.json").read_text())
        assert cost.keys() == {"wall_seconds", "cpu_seconds", "parts", "runs_in_pack"}
        assert (cost["parts"], cost["runs_in_pack"]) == (1, 2)
        assert cost["wall_seconds"] >= 0


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
    assert trained.is_complete(1)  # to go on would come to the same
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


def columns(trained: Trained, run: int) -> list[int]:
    """Return the steps in a run's table as it stands."""
    return pq.read_table(trained.folders[run] / "metrics.parquet")["steps"].to_pylist()


def table(folder: Path) -> bytes:
    write_tables(folder)
    return (folder / "metrics.parquet").read_bytes()


def test_drafts_that_a_killed_process_left_are_gone_when_its_run_goes_on(tmp_path: Path) -> None:
    for name in ("checkpoint", "policy", "provenance"):
        (tmp_path / name).mkdir()
        (tmp_path / name / ".file.json.4194305").touch()
    Journal(tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
