"""What is left of a run that fails, and that its pack goes on without it: the others' records are the same bytes."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from pgexp.execution.checkpoints import read_state
from pgexp.execution.journal import Journal
from pgexp.schema.config import RunConfig
from pgexp.schema.identity import run_key
from pgexp.schema.streams import integer
from pgexp.storage.tables import write_tables
from tests.conftest import Compose
from tests.execution.conftest import Train, Trained
from tests.failing import BAD, MODES, at, brittle, faulty, moody, sound

STUCK = "ValueError: the motor is stuck"
WATCHED = ("evaluation.every=100", "evaluation.episodes=3", "evaluation.slots=2")
EVALUATED = (BAD, "evaluation")  # the stream of its evaluations, before their label and their episode


def around(bad: RunConfig, good: RunConfig) -> list[RunConfig]:
    return [at(good, 0), at(bad, BAD), at(good, 2)]


def results(trained: Trained, run: int) -> list[bytes]:
    """Return what of a run depends on its identity alone."""
    folder = trained.folders[run]
    write_tables(folder)
    return [(folder / name).read_bytes() for name in ("metrics.parquet", "policy/policy.safetensors")]


def failed(experiment: Train, configs: Sequence[RunConfig]) -> Trained:
    """Train a pack whose second run fails, and hold the others to the same pack without it."""
    trained = experiment(*configs).run()
    without = experiment(configs[0], configs[2]).run()
    for run, place in ((0, 0), (2, 1)):
        assert trained.end(run) == ("FINISHED", "")
        assert results(trained, run) == results(without, place)
        assert repr(trained.experiment.outcomes[run]) == repr(without.experiment.outcomes[place])
        assert not (trained.folders[run] / "error.txt").exists()
    assert [*trained.experiment.failures] == [1]
    assert trained.end(1) == ("FAILED", trained.experiment.failures[1])
    last = (trained.folders[1] / "run.log").read_text().splitlines()[-1]
    assert last.endswith(f"  failed: {trained.experiment.failures[1]}")
    return trained


def traceback_of(trained: Trained) -> str:
    return (trained.folders[1] / "error.txt").read_text()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("vectorization", ["sync", pytest.param("async", marks=pytest.mark.slow)])
def test_an_environment_that_raises(configured: Compose, experiment: Train, mode: str, vectorization: str) -> None:
    config = faulty(configured, *MODES[mode], *WATCHED, f"env.vectorization={vectorization}")
    trained = failed(experiment, around(config, config))
    assert trained.experiment.failures == {1: STUCK}
    assert not trained.is_complete(1)  # a later try may go well
    assert "Traceback (most recent call last):\n" in traceback_of(trained)
    assert "in _observed\n" in traceback_of(trained)
    assert not (trained.folders[1] / "policy").exists()  # its policy is its last checkpoint's


def test_a_reward_that_is_no_number(configured: Compose, experiment: Train) -> None:
    config = faulty(configured, *MODES["episodes"], *WATCHED, fault="pay nan", at=3)
    trained = failed(experiment, around(config, config))
    assert "a reward of nan at step 3 of episode 2 in slot 1" in trained.experiment.failures[1]
    assert trained.is_complete(1)  # to go on would come to the same
    assert not (trained.folders[1] / "error.txt").exists()
    assert (trained.folders[1] / "policy" / "policy.safetensors").exists()


def test_a_baseline_that_raises(configured: Compose, experiment: Train) -> None:
    config = sound(configured, *MODES["episodes"], *WATCHED)
    trained = failed(experiment, around(moody(config), config))
    assert trained.experiment.failures == {1: "LookupError: no mood left"}
    assert len(trained.rows(1, "train")) == 2
    assert "in update\n" in traceback_of(trained)


def test_an_optimizer_that_calls_for_the_program_s_end(configured: Compose, experiment: Train) -> None:
    config = sound(configured, *MODES["episodes"], *WATCHED)
    trained = failed(experiment, around(brittle(config), config))
    assert trained.experiment.failures == {1: "SystemExit: 3"}
    assert trained.rows(1) == []


def test_a_baseline_that_a_checkpoint_would_lose(configured: Compose, experiment: Train) -> None:
    config = sound(configured, *MODES["episodes"], *WATCHED)
    trained = failed(experiment, around(moody(config, "Sly"), config))
    assert trained.experiment.failures[1].startswith("Sly changes updates as it learns without declaring it")
    assert not (trained.folders[1] / "error.txt").exists()


def test_a_baseline_that_a_checkpoint_cannot_hold(configured: Compose, experiment: Train) -> None:
    config = sound(configured, *MODES["episodes"], "checkpoint.seconds=0")
    trained = failed(experiment, around(moody(config, "Opaque"), config))
    assert trained.experiment.failures[1].startswith("Opaque.remembered names updates, which a checkpoint can't hold")
    assert trained.rows(1, "train")
    state = read_state(trained.folders[1], run_key(trained.pack.configs[1]))
    assert state is not None
    assert state.counters["updates"] == 1


class TestEvaluation:
    def test_during_training(self, configured: Compose, experiment: Train) -> None:
        """The second evaluation of the bad run meets an episode that raises; its first one is in its record."""
        whole = experiment(at(sound(configured, *MODES["segments"], *WATCHED), BAD)).run()
        first, second, *_ = whole.steps(0, "evaluation/")
        when = integer(*EVALUATED, second, 2, "env")
        config = faulty(configured, *MODES["segments"], *WATCHED, when=when)
        trained = failed(experiment, around(config, config))
        assert trained.experiment.failures == {1: STUCK}
        assert trained.steps(1, "evaluation/") == [first]
        assert not trained.is_complete(1)
        assert [row.metrics["train/return_mean"] for row in trained.rows(1, "train/return_mean")] == [
            row.metrics["train/return_mean"] for row in whole.rows(0, "train/return_mean")
        ][: len(trained.rows(1, "train/return_mean"))]
        assert len(trained.rows(1, "train")) < len(whole.rows(0, "train"))

    @pytest.mark.parametrize(
        ("fault", "reason"),
        [
            ("raise", STUCK),
            ("pay inf", "the environment gave a return of inf in episode 1 of the evaluation"),
        ],
    )
    def test_at_the_end_it_alone_is_left_to_do(
        self, configured: Compose, experiment: Train, fault: str, reason: str
    ) -> None:
        when = integer(*EVALUATED, "final", 1, "env")
        config = faulty(configured, *MODES["episodes"], *WATCHED, when=when, fault=fault)
        trained = failed(experiment, around(config, config))
        assert trained.experiment.failures == {1: reason}
        assert not trained.is_complete(1)
        state = read_state(trained.folders[1], run_key(trained.pack.configs[1]))
        assert state is not None
        assert state.counters["steps"] == trained.rows(1, "train")[-1].steps
        assert trained.experiment.outcomes.keys() == {0, 2}

    def test_a_film(self, clock: Compose, experiment: Train) -> None:
        when = integer(*EVALUATED, "final", 0, "env")
        own = ("env.id=tests.execution.own.mine:Overexposed-v0", f"+env.kwargs.when={when}", "evaluation.video=true")
        config = clock(*own)
        trained = failed(experiment, around(config, config))
        assert trained.experiment.failures == {1: "the film can't be made: OSError: too bright"}
        assert "in render\n" in traceback_of(trained)
        assert not [*(trained.folders[1] / "video").iterdir()]
        assert trained.steps(1, "final/") == [32]


def test_a_run_that_does_not_repeat_its_record(clock: Compose, experiment: Train, tmp_path: Path) -> None:
    configs = [clock(f"seed={seed}") for seed in range(3)]
    without = experiment(configs[0], configs[2]).run()
    Journal(tmp_path / "again" / "1").row(16, 0.5, {"loss/policy": 7.0})
    trained = Trained(configs, tmp_path / "again").run()
    assert [results(trained, run) for run in (0, 2)] == [results(without, run) for run in (0, 1)]
    status, reason = trained.end(1)
    assert status == "FAILED"
    assert reason.startswith("an update ended at 8 steps, where none of those recorded, up to 16, did: ")
    assert trained.experiment.failures == {1: reason}
    assert not trained.is_complete(1)
    assert not (trained.folders[1] / "error.txt").exists()


def test_an_interrupt_after_a_run_has_failed_is_the_others_alone(clock: Compose, experiment: Train) -> None:
    """Seed 1 fails in its third batch, and seed 0 is interrupted in its fourth one."""
    config = clock("budget.steps=48", "+env.kwargs.deed=SIGINT", f"+env.kwargs.when={integer(0, 'env', 0, 3)}")
    trained = experiment(at(config, 0), moody(config))
    with pytest.raises(KeyboardInterrupt):
        trained.run()
    assert trained.end(0) == ("KILLED", "interrupted")
    assert trained.steps(0, "train") == [8, 16, 24, 32]
    assert (trained.folders[0] / "checkpoint" / "last.safetensors").exists()
    assert trained.end(1) == ("FAILED", "LookupError: no mood left")
    assert trained.steps(1, "train") == [8, 16]
    assert not (trained.folders[1] / "checkpoint").exists()


class TestTraceback:
    def test_secrets_are_masked_line_by_line(self, tmp_path: Path) -> None:
        journal = Journal(tmp_path)
        journal.error("sorted(names, key=len)\nlogin(token=abc)\nhttp://me:pass@host/x\nValueError: it failed\n")
        lines = (tmp_path / "error.txt").read_text().splitlines()
        assert lines[1:] == ["login(token=***", "http://me:***@host/x", "ValueError: it failed"]

    def test_it_is_gone_once_the_run_goes_on(self, tmp_path: Path) -> None:
        Journal(tmp_path).error("ValueError: it failed\n")
        Journal(tmp_path)
        assert not (tmp_path / "error.txt").exists()


def test_all_runs_may_fail(configured: Compose, experiment: Train) -> None:
    config = sound(configured, *MODES["episodes"])
    trained = experiment(moody(config), moody(at(config, 5))).run()
    assert [trained.end(run) for run in (0, 1)] == [("FAILED", "LookupError: no mood left")] * 2
