"""Records of runs that finish, are interrupted, diverge, or cannot write their record."""

import errno
import json
import signal
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file

from pgexp.algorithms.policy import Policy
from pgexp.algorithms.trainer import SavedState
from pgexp.execution.run_writer import CheckpointWriter, RunWriter, read_checkpoint_policy, read_state
from pgexp.schema.config import Option
from pgexp.schema.identity import run_key
from tests.conftest import Compose
from tests.execution.conftest import Train, Trained
from tests.streams import episode_seed

NAN = "a reward that is not finite (at step 0 of episode 1 in environment 0"
RESIDUAL = Option("tests.user_networks.Residual", {})


def deed(what: str, episode: int, seed: int = 0) -> tuple[str, str]:
    """Return the overrides with which the clock does a deed in an episode of a run's first environment."""
    return f"+env.kwargs.deed='{what}'", f"+env.kwargs.when={episode_seed(seed, 'env', 0, episode)}"


def log_of(trained: Trained) -> list[str]:
    """Return the lines of the run's log, without their times."""
    return [line.partition("  ")[2] for line in (trained.folder / "run.log").read_text().splitlines()]


def last_state(trained: Trained) -> SavedState:
    """Return the state from which the run would resume."""
    state = read_state(trained.folder, run_key(trained.assembled.config))
    assert state is not None
    return state


def assert_policy_is_written(trained: Trained) -> None:
    kept = load_file(trained.folder / "policy" / "policy.safetensors")
    views = trained.assembled.parameters.views
    assert kept.keys() == views.keys()
    for name, tensor in views.items():
        np.testing.assert_array_equal(kept[name], tensor.detach().numpy())


def assert_state_is_now(trained: Trained, **counters: int) -> None:
    """Assert that the last checkpoint has these counters and the run's current parameters."""
    state, views = last_state(trained), trained.assembled.parameters.views
    assert state.counters == counters
    assert state.parameters.keys() == views.keys()
    for name, tensor in views.items():
        np.testing.assert_array_equal(state.parameters[name], tensor.detach())


def test_each_update_is_a_row_at_the_steps_after_it(clock: Compose, experiment: Train) -> None:
    rows = experiment(clock()).run().rows("train")
    assert [row.steps for row in rows] == [8, 16, 24, 32]
    assert [row.progress for row in rows] == [0.25, 0.5, 0.75, 1.0]
    assert [row.metrics["progress/updates"] for row in rows] == [1, 2, 3, 4]
    assert [row.metrics["progress/episodes"] for row in rows] == [2, 4, 6, 8]
    assert {row.metrics["train/episode_length_mean"] for row in rows} == {4}
    assert all(row.metrics["timing/steps_per_second"] > 0 for row in rows)


def test_a_finished_run_has_a_complete_record(clock: Compose, experiment: Train) -> None:
    trained = experiment(clock("seed=4")).run()
    assert trained.end == ("FINISHED", "")
    assert trained.is_complete
    assert trained.experiment.final_evaluation is not None
    log = log_of(trained)
    assert log[0] == "training tests.execution.own.mine:Clock-v0 with seed 4"
    assert log[-2].startswith("final at 32 steps: mean return ")
    assert log[-1] == "finished"
    assert_policy_is_written(trained)


@pytest.mark.parametrize("reason", [None, "the processor lacks AVX2 or FMA"])
def test_the_log_warns_if_bits_may_differ(
    clock: Compose, experiment: Train, monkeypatch: pytest.MonkeyPatch, reason: str | None
) -> None:
    monkeypatch.setattr("pgexp.execution.experiment.nondeterminism_reason", lambda: reason)
    lines = [line for line in log_of(experiment(clock()).run()) if line.startswith("bits may differ")]
    assert lines == ([] if reason is None else [f"bits may differ from those of other machines: {reason}"])


def test_an_action_without_bounds(clock: Compose, experiment: Train) -> None:
    trained = experiment(clock("env.id=tests.execution.own.mine:Blind-v0")).run()
    kept = json.loads((trained.folder / "policy" / "policy.json").read_text())
    assert kept["action_space"] == {"kind": "box", "size": 4, "counts": [], "low": [None] * 4, "high": [None] * 4}


def test_the_policy_description_is_complete(clock: Compose, experiment: Train) -> None:
    trained = experiment(clock("dtype=float64")).run()
    assert json.loads((trained.folder / "policy" / "policy.json").read_text()) == {
        "action_space": {"kind": "discrete", "size": 1, "counts": [2], "low": [], "high": []},
        "dtype": "float64",
        "env": {
            "id": "tests.execution.own.mine:Clock-v0",
            "kwargs": {},
            "max_episode_steps": None,
            "num_envs": None,
            "vectorization": "auto",
            "wrappers": [],
            "dynamics": None,
            "normalize_observations": False,
            "clip_observations": 10.0,
        },
        "head": {"_target_": "pgexp.networks.heads.automatic.AutomaticHead"},
        "network": {
            "_target_": "pgexp.networks.feedforward.Linear",
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
        "num_envs": 20,
    }


def test_a_budget_of_episodes(clock: Compose, experiment: Train) -> None:
    rows = experiment(clock("budget.steps=null", "budget.episodes=5")).run().rows("train")
    assert [row.steps for row in rows] == [8, 16, 24]
    assert [row.progress for row in rows] == [0.4, 0.8, 1.0]


def test_each_update_is_yielded_with_its_progress(clock: Compose, experiment: Train) -> None:
    trained = experiment(clock())
    with trained.experiment:
        updates = list(trained.experiment)
    assert [update.steps for update in updates] == [8, 16, 24, 32]
    assert [update.progress for update in updates] == [0.25, 0.5, 0.75, 1.0]
    assert [update.return_mean for update in updates] == [
        row.metrics["train/return_mean"] for row in trained.rows("train")
    ]


class TestInterrupts:
    """A batch is one episode of four steps in each of two environments: episode 2 is in the third update."""

    def assert_stopped_in_the_third_update(self, trained: Trained, status: str, reason: str) -> None:
        assert trained.steps() == [8, 16]
        assert trained.end == (status, reason)
        assert not trained.is_complete
        assert log_of(trained)[-1] == f"{status.lower()}: {reason}"
        assert pq.read_table(trained.folder / "metrics.parquet")["steps"].to_pylist() == [8, 16]
        # The parameters may be in the middle of an update, so they are no policy.
        assert not (trained.folder / "policy").exists()
        assert not (trained.folder / "checkpoint").exists()

    def test_within_an_update_it_leaves_that_update_out(self, clock: Compose, experiment: Train) -> None:
        trained = experiment(clock(*deed("interrupt", episode=2)))
        with pytest.raises(KeyboardInterrupt):
            trained.run()
        self.assert_stopped_in_the_third_update(trained, "KILLED", "interrupted")

    def test_an_error_within_an_update_fails_the_run(
        self, clock: Compose, experiment: Train, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The network has no kernel, so the policy acts in torch: its ninth call is in the third update."""
        trained, act, calls = experiment(replace(clock(), network=RESIDUAL)), Policy.act, []

        def acting(*arguments: Any) -> Any:
            calls.append(arguments)
            if len(calls) == 9:
                raise RuntimeError("the stack is broken")
            return act(*arguments)

        monkeypatch.setattr(Policy, "act", acting)
        trained.run()
        self.assert_stopped_in_the_third_update(trained, "FAILED", "RuntimeError: the stack is broken")
        assert (trained.folder / "error.txt").read_text().endswith("RuntimeError: the stack is broken\n")

    @pytest.mark.parametrize("what", ["SIGINT", "SIGTERM"])
    def test_the_first_waits_for_the_update_and_its_evaluation(
        self, clock: Compose, experiment: Train, what: str
    ) -> None:
        trained = experiment(clock(*deed(what, episode=2), "evaluation.every=24"))
        with pytest.raises(KeyboardInterrupt):
            trained.run()
        assert trained.steps("train") == [8, 16, 24]
        assert trained.steps("evaluation") == [24]  # a resumed run would not repeat it
        assert trained.end == ("KILLED", "interrupted")
        assert not trained.is_complete
        assert_state_is_now(trained, steps=24, episodes=6, updates=3)
        assert not (trained.folder / "policy").exists()

    def test_a_second_does_not_wait_for_the_update(self, clock: Compose, experiment: Train) -> None:
        trained = experiment(clock(*deed("SIGINT twice", episode=2)))
        with pytest.raises(KeyboardInterrupt):
            trained.run()
        assert trained.steps() == [8, 16]
        assert trained.end == ("KILLED", "interrupted")
        assert not (trained.folder / "checkpoint").exists()

    def test_the_signals_handlers_are_restored(self, clock: Compose, experiment: Train) -> None:
        before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        with pytest.raises(KeyboardInterrupt):
            experiment(clock(*deed("SIGINT", episode=0))).run()
        experiment(clock()).run()
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before

    def test_leaving_the_loop_writes_a_checkpoint(self, clock: Compose, experiment: Train) -> None:
        trained = experiment(clock()).run(updates=2)
        assert trained.steps() == [8, 16]
        assert trained.end == ("KILLED", "interrupted")
        assert_state_is_now(trained, steps=16, episodes=4, updates=2)


class TestCheckpoints:
    def test_a_finished_run_leaves_its_final_state(self, clock: Compose, experiment: Train) -> None:
        assert_state_is_now(experiment(clock()).run(), steps=32, episodes=8, updates=4)

    @pytest.mark.parametrize(("seconds", "number"), [("0", 4), ("null", 0), ("1000", 0)])
    def test_their_interval(
        self, clock: Compose, experiment: Train, monkeypatch: pytest.MonkeyPatch, seconds: str, number: int
    ) -> None:
        kept: list[int] = []
        write = CheckpointWriter.write_last

        def noting(self: CheckpointWriter, state: SavedState, policy: Mapping[str, Any]) -> None:
            kept.append(state.counters["steps"])
            write(self, state, policy)

        monkeypatch.setattr(CheckpointWriter, "write_last", noting)
        experiment(clock(f"checkpoint.seconds={seconds}")).run()
        assert kept == [*[8, 16, 24, 32][:number], 32]

    def test_the_best_has_the_highest_evaluation(self, clock: Compose, experiment: Train) -> None:
        trained = experiment(clock("evaluation.every=8", "optimizer.lr=1", "seed=3")).run()
        means = [row.metrics["evaluation/return_mean"] for row in trained.rows("evaluation")]
        assert len({*means}) > 1
        tensors, description = read_checkpoint_policy(trained.folder, "best")
        assert description.steps == 8 * (1 + means.index(max(means)))
        assert tensors.keys() == trained.assembled.parameters.views.keys()

    def test_a_run_without_evaluations_has_no_best(self, clock: Compose, experiment: Train) -> None:
        trained = experiment(clock()).run()
        assert [path.name for path in (trained.folder / "checkpoint").iterdir()] == ["last.safetensors"]

    def test_drafts_of_a_killed_process_are_removed(self, tmp_path: Path) -> None:
        for name in ("checkpoint", "policy", "provenance"):
            (tmp_path / name).mkdir()
            (tmp_path / name / ".file.json.4194305").touch()
        RunWriter(tmp_path)
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_each_part_of_a_run_adds_to_its_cost(clock: Compose, experiment: Train) -> None:
    trained = experiment(clock()).run(updates=1)
    first = json.loads((trained.folder / "provenance" / "cost.json").read_text())
    assert first.keys() == {"wall_seconds", "cpu_seconds", "parts"}
    assert first["parts"] == 1
    assert min(first["wall_seconds"], first["cpu_seconds"]) >= 0
    Trained(clock(), trained.folder).run()
    second = json.loads((trained.folder / "provenance" / "cost.json").read_text())
    assert second["parts"] == 2
    assert second["wall_seconds"] >= first["wall_seconds"]


class TestDivergence:
    def test_the_run_fails_and_is_complete(self, clock: Compose, experiment: Train) -> None:
        trained = experiment(clock(*deed("pay NaN", episode=1))).run()
        assert trained.steps() == [8]
        status, reason = trained.end
        assert (status, NAN in reason) == ("FAILED", True)
        assert trained.is_complete  # a resumed run would fail in the same way
        assert trained.experiment.final_evaluation is None

    def test_the_policy_is_the_last_finite_one(self, clock: Compose, experiment: Train) -> None:
        trained = experiment(clock(*deed("pay NaN", episode=1))).run()
        kept = load_file(trained.folder / "policy" / "policy.safetensors")
        assert all(np.isfinite(tensor).all() for tensor in kept.values())

    def test_an_evaluation_before_it_is_in_the_record(self, clock: Compose, experiment: Train) -> None:
        trained = experiment(clock(*deed("pay NaN", episode=1), "evaluation.every=8")).run()
        assert (trained.steps("train"), trained.steps("evaluation")) == ([8], [8])
        assert trained.end[0] == "FAILED"


class TestRecord:
    """An OSError of the record is raised, because it concerns all runs. One of an environment fails its run only."""

    FULL = OSError(errno.ENOSPC, "No space left on device")

    def test_a_row_that_cannot_be_written(
        self, clock: Compose, experiment: Train, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write = RunWriter.row

        def row(self: RunWriter, steps: int, progress: float, metrics: dict[str, float]) -> None:
            if steps == 24:
                raise TestRecord.FULL
            write(self, steps, progress, metrics)

        trained = experiment(clock())
        monkeypatch.setattr(RunWriter, "row", row)
        with pytest.raises(OSError, match="No space left on device"):
            trained.run()
        assert trained.steps() == [8, 16]
        assert trained.end == ("FAILED", "OSError: [Errno 28] No space left on device")
        assert not trained.is_complete

    @pytest.mark.parametrize("name", ["write_last", "write_best"])
    def test_a_checkpoint_that_cannot_be_written(
        self, clock: Compose, experiment: Train, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        def keep(*arguments: object) -> None:
            raise TestRecord.FULL

        trained = experiment(clock("evaluation.every=8"))
        monkeypatch.setattr(CheckpointWriter, name, keep)
        with pytest.raises(OSError, match="No space left on device"):
            trained.run()
        assert trained.end[0] == "FAILED"

    @pytest.mark.parametrize(
        "stream", [("env", 0, 2), ("evaluation", 16, "env", 0, 1), ("evaluation", "final", "env", 0, 2)]
    )
    def test_an_environments_error_fails_the_run(
        self, clock: Compose, experiment: Train, stream: tuple[str | int, ...]
    ) -> None:
        when = episode_seed(0, *stream)
        trained = experiment(clock("+env.kwargs.deed=lose", f"+env.kwargs.when={when}", "evaluation.every=16")).run()
        assert trained.end == ("FAILED", "ConnectionResetError: [Errno 104] the simulator is gone")
        assert not trained.is_complete
        assert "in step\n" in (trained.folder / "error.txt").read_text()
        assert trained.steps("train") == ([8, 16, 24, 32] if "final" in stream else [8, 16])
