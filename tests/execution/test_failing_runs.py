"""Records of runs that fail, and of the runs trained before and after them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from pgexp.algorithms.evaluator import EvaluationResult
from pgexp.execution.jobs import Job
from pgexp.execution.run_writer import RunWriter, read_state
from pgexp.runs.metric_tables import write_tables
from pgexp.runs.run_log import End, RunLogReader
from pgexp.schema.config import Option, RunConfig
from pgexp.schema.identity import run_key
from tests.conftest import Compose
from tests.execution.conftest import Train, Trained
from tests.failing import BAD, MODES, SHORT, at, brittle, faulty, moody, sound
from tests.recorded_runs import train as train_job
from tests.streams import episode_seed
from tests.user_parts import FORBIDS_ALL, INFINITE_OBSERVATION, NAN_REWARD, RAISES, REFUSES

STUCK = "ValueError: the motor is stuck"
WATCHED = ("evaluation.every=100", "evaluation.episodes=3", "evaluation.num_envs=2")
EVALUATED = (BAD, "evaluation")  # key of the streams of its evaluations, before the label and the episode


def results(folder: Path) -> list[bytes]:
    """Return the files of a run's record that depend on its identity only."""
    write_tables(folder)
    return [(folder / name).read_bytes() for name in ("metrics.parquet", "policy/policy.safetensors")]


def train(jobs: Sequence[Job]) -> dict[int, EvaluationResult]:
    """Train jobs one after the other; return the final evaluations of those that finished."""
    outcomes = {number: train_job(job) for number, job in enumerate(jobs)}
    return {number: outcome for number, outcome in outcomes.items() if outcome is not None}


def failed(experiment: Train, config: RunConfig) -> Trained:
    """Train a run that fails."""
    trained = experiment(at(config, BAD)).run()
    assert trained.experiment.final_evaluation is None
    status, reason = trained.end
    assert status == "FAILED"
    assert (trained.folder / "run.log").read_text().splitlines()[-1].endswith(f"  failed: {reason}")
    return trained


def reason_of(trained: Trained) -> str:
    return trained.end[1]


def traceback_of(trained: Trained) -> str:
    return (trained.folder / "error.txt").read_text()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("vectorization", ["sync", pytest.param("async", marks=pytest.mark.slow)])
def test_an_environment_that_raises(configured: Compose, experiment: Train, mode: str, vectorization: str) -> None:
    trained = failed(experiment, faulty(configured, *MODES[mode], *WATCHED, f"env.vectorization={vectorization}"))
    assert reason_of(trained) == STUCK
    assert not trained.is_complete  # another attempt may succeed
    assert "Traceback (most recent call last):\n" in traceback_of(trained)
    assert "in _observed\n" in traceback_of(trained)
    assert not (trained.folder / "policy").exists()  # its policy is its last checkpoint's


def test_a_reward_that_is_not_finite(configured: Compose, experiment: Train) -> None:
    trained = failed(experiment, faulty(configured, *MODES["episodes"], *WATCHED, fault="pay nan", at=3))
    assert "a reward that is not finite (at step 3 of episode 2 in environment 1," in reason_of(trained)
    assert trained.is_complete  # a resumed run would fail in the same way
    assert not (trained.folder / "error.txt").exists()
    assert (trained.folder / "policy" / "policy.safetensors").exists()


@pytest.mark.parametrize(
    ("fault", "reason", "complete"),
    [
        (RAISES, STUCK, False),
        (NAN_REWARD, "a reward that is not finite", True),
        (INFINITE_OBSERVATION, "an observation that is not finite", True),
        (FORBIDS_ALL, "the environment's mask allows no action", True),
        (REFUSES, "the environment refused the action as invalid", True),
    ],
)
def test_compiled_dynamics_that_fail(
    configured: Compose, experiment: Train, fault: int, reason: str, complete: bool
) -> None:
    dynamics = f"env.dynamics={{_target_:tests.user_parts.FaultyDynamics,fault:{fault}}}"
    trained = failed(experiment, configured(*SHORT, *MODES["episodes"], dynamics, "baseline=mean", "budget.steps=9000"))
    assert reason in reason_of(trained)
    assert trained.is_complete == complete
    assert (trained.folder / "error.txt").exists() == (not complete)


def test_a_baseline_that_raises(configured: Compose, experiment: Train) -> None:
    trained = failed(experiment, moody(sound(configured, *MODES["episodes"], *WATCHED)))
    assert reason_of(trained) == "LookupError: no mood left"
    assert len(trained.rows("train")) == 2
    assert "in update\n" in traceback_of(trained)


def test_an_optimizer_that_raises_system_exit(configured: Compose, experiment: Train) -> None:
    trained = failed(experiment, brittle(sound(configured, *MODES["episodes"], *WATCHED)))
    assert reason_of(trained) == "SystemExit: 3"
    assert trained.rows() == []


def test_a_baseline_with_undeclared_state(configured: Compose, experiment: Train) -> None:
    trained = failed(experiment, moody(sound(configured, *MODES["episodes"], *WATCHED), "Sly"))
    assert reason_of(trained).startswith("Sly changes updates ")
    assert not (trained.folder / "error.txt").exists()


def test_a_baseline_whose_state_cannot_be_saved(configured: Compose, experiment: Train) -> None:
    trained = failed(experiment, moody(sound(configured, *MODES["episodes"], "checkpoint.seconds=0"), "Opaque"))
    assert reason_of(trained).startswith("Opaque.state_attributes names updates, which cannot be saved")
    assert trained.rows("train")
    state = read_state(trained.folder, run_key(trained.assembled.config))
    assert state is not None
    assert state.counters["updates"] == 1


class TestEvaluation:
    def test_during_training(self, configured: Compose, experiment: Train) -> None:
        """An episode of the second evaluation raises. The first evaluation is in the record."""
        whole = experiment(at(sound(configured, *MODES["segments"], *WATCHED), BAD)).run()
        first, second, *_ = whole.steps("evaluation/")
        when = episode_seed(*EVALUATED, second, "env", 0, 2)
        trained = failed(experiment, faulty(configured, *MODES["segments"], *WATCHED, when=when))
        assert reason_of(trained) == STUCK
        assert trained.steps("evaluation/") == [first]
        assert not trained.is_complete
        metric = "train/return_mean"
        found, expected = ([row.metrics[metric] for row in each.rows(metric)] for each in (trained, whole))
        assert found == expected[: len(found)]
        assert 0 < len(trained.rows("train")) < len(whole.rows("train"))

    @pytest.mark.parametrize(
        ("fault", "reason"),
        [
            ("raise", STUCK),
            ("pay inf", "a reward that is not finite (at step 2 of episode 1 in environment 0"),
        ],
    )
    def test_at_the_end(self, configured: Compose, experiment: Train, fault: str, reason: str) -> None:
        when = episode_seed(*EVALUATED, "final", "env", 0, 1)
        config = faulty(configured, *MODES["episodes"], *WATCHED, when=when, fault=fault)
        trained = failed(experiment, config)
        assert reason in reason_of(trained)
        state = read_state(trained.folder, run_key(trained.assembled.config))
        assert state is not None
        assert state.counters["steps"] == trained.rows("train")[-1].steps >= 600

    def test_a_video(self, clock: Compose, experiment: Train) -> None:
        when = episode_seed(*EVALUATED, "final", "env", 0, 0)
        own = ("env.id=tests.execution.own.mine:Overexposed-v0", f"+env.kwargs.when={when}", "evaluation.video=true")
        trained = failed(experiment, clock(*own))
        assert reason_of(trained) == "the video cannot be made: OSError: too bright"
        assert "in render\n" in traceback_of(trained)
        assert not [*(trained.folder / "video").iterdir()]
        assert trained.steps("final/") == [32]


def test_a_run_that_does_not_replay_its_record(clock: Compose, tmp_path: Path) -> None:
    RunWriter(tmp_path).row(16, 0.5, {"loss/policy": 7.0})
    trained = Trained(clock(), tmp_path).run()
    status, reason = trained.end
    assert status == "FAILED"
    assert reason.startswith("an update ended at 8 steps, but no recorded update")
    assert not trained.is_complete
    assert not (trained.folder / "error.txt").exists()


class TestOtherRuns:
    """A run that fails among others that one worker trains one after the other."""

    def jobs(self, bad: RunConfig, good: RunConfig, folder: Path) -> list[Job]:
        configs = [at(good, 0), at(bad, BAD), at(good, 2)]
        return [Job(config, folder / str(number)) for number, config in enumerate(configs)]

    @pytest.mark.parametrize("kind", ["environment", "baseline", "optimizer", "assembly"])
    def test_their_records_are_the_same_bytes(self, configured: Compose, tmp_path: Path, kind: str) -> None:
        good = sound(configured, *MODES["episodes"], *WATCHED)
        bad = {
            "environment": faulty(configured, *MODES["episodes"], *WATCHED),
            "baseline": moody(good),
            "optimizer": brittle(good),
            "assembly": replace(good, head=Option("tests.execution.own.mine.Unrelated", {})),
        }[kind]
        with_bad, without = self.jobs(bad, good, tmp_path / "with"), self.jobs(bad, good, tmp_path / "without")
        outcomes = train(with_bad)
        expected = train([without[0], without[2]])
        assert outcomes.keys() == {0, 2}
        assert [repr(outcomes[index]) for index in (0, 2)] == [repr(expected[index]) for index in (0, 1)]
        for index in (0, 2):
            assert results(with_bad[index].folder) == results(without[index].folder)
            assert not (with_bad[index].folder / "error.txt").exists()
        end = RunLogReader(with_bad[1].folder / "rows.jsonl").read()[-1]
        assert isinstance(end, End)
        assert (end.status, end.complete) == ("FAILED", False)

    def test_all_may_fail(self, configured: Compose, tmp_path: Path) -> None:
        config = moody(sound(configured, *MODES["episodes"]))
        jobs = self.jobs(config, config, tmp_path)
        assert train(jobs) == {}
        ends = [RunLogReader(job.folder / "rows.jsonl").read()[-1] for job in jobs]
        assert [(end.status, end.reason) for end in ends if isinstance(end, End)] == [
            ("FAILED", "LookupError: no mood left")
        ] * 3

    def test_an_interrupt_after_a_failure(self, clock: Compose, tmp_path: Path) -> None:
        when = episode_seed(2, "env", 0, 3)
        config = clock("budget.steps=48", "+env.kwargs.deed=SIGINT", f"+env.kwargs.when={when}")
        failing, stopped = Job(moody(config), tmp_path / "0"), Job(at(config, 2), tmp_path / "1")
        with pytest.raises(KeyboardInterrupt):
            train([failing, stopped, Job(at(config, 3), tmp_path / "2")])
        ends = [RunLogReader(job.folder / "rows.jsonl").read()[-1] for job in (failing, stopped)]
        assert [(end.status, end.reason) for end in ends if isinstance(end, End)] == [
            ("FAILED", "LookupError: no mood left"),
            ("KILLED", "interrupted"),
        ]
        state = read_state(stopped.folder, run_key(stopped.config))
        assert state is not None
        assert state.counters["steps"] == 32
        assert not (failing.folder / "checkpoint").exists()
        assert not (tmp_path / "2").exists()


class TestTraceback:
    def test_secrets_are_masked_line_by_line(self, tmp_path: Path) -> None:
        writer = RunWriter(tmp_path)
        writer.write_error("sorted(names, key=len)\nlogin(token=abc)\nhttp://me:pass@host/x\nValueError: it failed\n")
        lines = (tmp_path / "error.txt").read_text().splitlines()
        assert lines[1:] == ["login(token=***", "http://me:***@host/x", "ValueError: it failed"]

    def test_it_is_removed_when_the_run_resumes(self, tmp_path: Path) -> None:
        RunWriter(tmp_path).write_error("ValueError: it failed\n")
        RunWriter(tmp_path)
        assert not (tmp_path / "error.txt").exists()
