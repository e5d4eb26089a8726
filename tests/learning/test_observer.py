"""Normalisation by the observations of past batches, equal in acting, learning and evaluation."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from pgexp.baselines.baseline import Baseline
from pgexp.execution.assembly import Run
from pgexp.functional.batch import Batch
from pgexp.functional.moments import Moments
from pgexp.learning.algorithm import Algorithm, Student
from pgexp.learning.evaluator import Subject
from pgexp.learning.observer import MEAN, SCALE, Observer, trainable
from pgexp.learning.trainer import train
from tests.episodes import Episode, batch_of
from tests.learning.conftest import MakeRun

NORMALIZED = ("env.normalize_observations=true", "algorithm.batch.episodes=4", "env.num_envs=2", "network=mlp")


def statistics(run: Run) -> tuple[list[float], list[float]]:
    return run.parameters.views[MEAN].tolist(), run.parameters.views[SCALE].tolist()


def test_before_the_first_update_observations_are_not_changed(run_on: MakeRun) -> None:
    run = run_on("Diary", *NORMALIZED, "env.clip_observations=null")
    assert statistics(run) == ([0.0] * 3, [1.0] * 3)
    batch = run.collector.collect()
    seen = run.policy.observer.seen(run.learner.student.parameters, batch)
    assert np.array_equal(seen.observations, batch.observations)


def test_a_batch_is_normalised_by_all_batches_before_it(run_on: MakeRun) -> None:
    run, past = run_on("Diary", *NORMALIZED, "dtype=float64", seed=1), list[np.ndarray]()
    for _ in range(3):
        batch = run.collector.collect()
        if past:
            observations = np.concatenate(past)
            mean, scale = statistics(run)
            np.testing.assert_allclose(mean, observations.mean(0), rtol=1e-12)
            np.testing.assert_allclose(scale, 1 / observations.std(0), rtol=1e-9)
        run.learner.learn(batch)
        past.append(batch.observations)


@dataclass
class BatchRecorder(Algorithm):
    """An algorithm that learns nothing and records its batches."""

    batches: list[Batch] = field(default_factory=list)

    def objections(self, baseline: Baseline) -> Sequence[str]:
        return []

    def biases(self, baseline: Baseline) -> Sequence[str]:
        return []

    @property
    def depends_on_progress(self) -> bool:
        return False

    def update(self, student: Student, batch: Batch, progress: float) -> dict[str, float]:
        self.batches.append(batch)
        return {}


def test_learning_sees_the_observations_as_acting_saw_them(run_on: MakeRun) -> None:
    run, recorder = run_on("Diary", *NORMALIZED, "dtype=float64", "env.clip_observations=null"), BatchRecorder()
    run.learner.algorithm = recorder
    for _ in range(3):
        mean, scale = map(np.array, statistics(run))
        batch = run.collector.collect()
        run.learner.learn(batch)
        np.testing.assert_allclose(recorder.batches[-1].observations, (batch.observations - mean) * scale, rtol=1e-12)
        np.testing.assert_allclose(recorder.batches[-1].final, (batch.final - mean) * scale, rtol=1e-12)


def test_acting_normalises_by_the_current_statistics(run_on: MakeRun) -> None:
    """The logit of action 1 is 1e5 (t - 150) / 100, so the action is 1 from time 151 on."""
    run = run_on("Clock", *NORMALIZED, "network=linear", "env.max_episode_steps=300", actions=2)
    views = run.parameters.views
    views[MEAN][:], views[SCALE][:] = 150.0, 0.01
    views["0.weight"].detach()[:] = torch.tensor([[0.0, 1e5]])
    batch = run.collector.collect()
    assert batch.actions[batch.times != 150].tolist() == (batch.times > 150)[batch.times != 150].tolist()
    assert batch.observations.ravel().tolist() == batch.times.tolist()  # recorded as the environment gave them


def test_a_component_that_never_varied_becomes_zero() -> None:
    observer = Observer(torch.float64, 1, None)
    parameters = observer.statistics(Moments.none(1).merged(np.full((5, 1), 3.0)))
    assert observer.see(parameters, torch.tensor([[3.0]])).tolist() == [[0.0]]


def test_rows_and_batches_are_normalised_to_the_same_bits() -> None:
    observer = Observer(torch.float32, 3, 10.0)
    rows = np.random.default_rng(0).normal(5.0, 100.0, (7, 3)).astype(np.float32)
    parameters = observer.statistics(Moments.none(3).merged(rows[:3]))
    acted = torch.cat([observer.see(parameters, torch.from_numpy(row).reshape(1, 3)) for row in rows])
    batch = replace(batch_of(Episode([[0.0] * 3] * 7, [0] * 7, [0.0] * 7)), observations=rows)
    assert np.array_equal(observer.seen(parameters, batch).observations, acted.numpy())


def test_bytes_of_pictures_become_fractions_in_the_policys_precision() -> None:
    for dtype in (torch.float32, torch.float64):
        seen = Observer(dtype, None, None).see({}, torch.tensor([[0, 51, 255]], dtype=torch.uint8))
        assert seen.dtype == dtype
        torch.testing.assert_close(seen, torch.tensor([[0.0, 0.2, 1.0]], dtype=dtype))


def test_the_statistics_of_pictures_are_those_of_the_fractions(run_on: MakeRun) -> None:
    run = run_on("Bars", *NORMALIZED, "dtype=float64")
    batch = run.collector.collect()
    assert batch.observations.dtype == np.uint8
    run.learner.learn(batch)
    np.testing.assert_allclose(statistics(run)[0], batch.observations.mean(0) / 255, rtol=1e-12)


def test_neither_the_optimizer_nor_an_evaluation_changes_the_statistics(run_on: MakeRun) -> None:
    run = run_on("Diary", *NORMALIZED, "budget.steps=60")
    list(train(run.collector, run.learner))
    held = {id(tensor) for group in run.learner.student.optimizer.param_groups for tensor in group["params"]}
    parameters = run.learner.student.parameters
    assert {id(tensor) for tensor in trainable(parameters).values()} == held
    before = statistics(run)
    assert before != ([0.0] * 3, [1.0] * 3)
    run.evaluator.evaluate(run.parameters.views, Subject(0, "final"), 4, greedy=False)
    assert statistics(run) == before
    assert parameters[MEAN].data_ptr() == run.parameters.views[MEAN].data_ptr()
