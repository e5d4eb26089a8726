"""Observations are normalised by what the run has seen before the batch, alike in acting, learning, evaluation."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from pgexp.baselines.baseline import Baseline
from pgexp.execution.assembly import Pack
from pgexp.functional.batch import Batch
from pgexp.functional.moments import Moments
from pgexp.learning.algorithm import Algorithm, Student
from pgexp.learning.evaluator import Subject
from pgexp.learning.observer import MEAN, SCALE, Observer, trainable
from pgexp.learning.trainer import train
from pgexp.networks.parameters import stack
from tests.episodes import Episode, batch_of
from tests.learning.conftest import MakePack

NORMALIZED = ("env.normalize_observations=true", "algorithm.batch.episodes=4", "env.slots=2", "network=mlp")


def statistics(pack: Pack, run: int = 0) -> tuple[list[float], list[float]]:
    return pack.stacked[MEAN][run].tolist(), pack.stacked[SCALE][run].tolist()


def test_until_a_batch_was_learnt_from_all_stays_as_it_is(pack_on: MakePack) -> None:
    pack = pack_on("Diary", *NORMALIZED, "env.clip_observations=null")
    assert statistics(pack) == ([0.0] * 3, [1.0] * 3)
    (batch,) = pack.collector.collect(pack.stacked, [0])
    seen = pack.policy.observer.seen(pack.learners[0].student.parameters, batch)
    assert np.array_equal(seen.observations, batch.observations)


def test_each_batch_is_seen_by_what_was_seen_before_it_and_then_counted(pack_on: MakePack) -> None:
    pack = pack_on("Diary", *NORMALIZED, "dtype=float64", seeds=[1, 2])
    seen: list[list[np.ndarray]] = [[], []]
    for _ in range(3):
        for run, batch in enumerate(pack.collector.collect(pack.stacked, [0, 1])):
            if seen[run]:
                everything = np.concatenate(seen[run])
                mean, scale = statistics(pack, run)
                np.testing.assert_allclose(mean, everything.mean(0), rtol=1e-12)
                np.testing.assert_allclose(scale, 1 / everything.std(0), rtol=1e-9)
            pack.learners[run].learn(batch)
            seen[run].append(batch.observations)


@dataclass
class Watching(Algorithm):
    """Learns nothing; remembers the batches that it was given."""

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


def test_a_batch_is_learnt_from_as_it_was_acted_on(pack_on: MakePack) -> None:
    pack, watching = pack_on("Diary", *NORMALIZED, "dtype=float64", "env.clip_observations=null"), Watching()
    pack.learners[0].algorithm = watching
    for _ in range(3):
        mean, scale = map(np.array, statistics(pack))
        (batch,) = pack.collector.collect(pack.stacked, [0])
        pack.learners[0].learn(batch)
        np.testing.assert_allclose(watching.batches[-1].observations, (batch.observations - mean) * scale, rtol=1e-12)
        np.testing.assert_allclose(watching.batches[-1].final, (batch.final - mean) * scale, rtol=1e-12)


def test_a_component_that_never_varied_becomes_zero() -> None:
    observer = Observer(torch.float64, 1, None)
    parameters = stack([observer.statistics(Moments.none(1).merged(np.full((5, 1), 3.0)))])
    assert observer.see(parameters, torch.tensor([[[3.0]]])).tolist() == [[[0.0]]]


def test_what_is_acted_on_and_what_is_learnt_from_have_the_same_bits() -> None:
    observer = Observer(torch.float32, 3, 10.0)
    rows = np.random.default_rng(0).normal(5.0, 100.0, (7, 3)).astype(np.float32)
    parameters = stack([observer.statistics(Moments.none(3).merged(rows[:3]))])
    acted = torch.cat([observer.see(parameters, torch.from_numpy(row).reshape(1, 1, 3)) for row in rows], 1)
    batch = replace(batch_of(Episode([[0.0] * 3] * 7, [0] * 7, [0.0] * 7)), observations=rows)
    assert np.array_equal(observer.seen(parameters, batch).observations, acted[0].numpy())


def test_pictures_of_bytes_are_seen_as_fractions_in_the_policys_precision() -> None:
    for dtype in (torch.float32, torch.float64):
        seen = Observer(dtype, None, None).see({}, torch.tensor([[[0, 51, 255]]], dtype=torch.uint8))
        assert seen.dtype == dtype
        torch.testing.assert_close(seen, torch.tensor([[[0.0, 0.2, 1.0]]], dtype=dtype))


def test_pictures_are_normalised_by_the_fractions_that_are_seen_of_them(pack_on: MakePack) -> None:
    pack = pack_on("Bars", *NORMALIZED, "dtype=float64")
    (batch,) = pack.collector.collect(pack.stacked, [0])
    assert batch.observations.dtype == np.uint8
    pack.learners[0].learn(batch)
    np.testing.assert_allclose(statistics(pack)[0], batch.observations.mean(0) / 255, rtol=1e-12)


def test_no_optimizer_steps_on_the_statistics_and_an_evaluation_leaves_them_alone(pack_on: MakePack) -> None:
    pack = pack_on("Diary", *NORMALIZED, "budget.steps=60")
    list(train(pack.collector, pack.stacked, pack.learners))
    held = {id(tensor) for group in pack.learners[0].student.optimizer.param_groups for tensor in group["params"]}
    parameters = pack.learners[0].student.parameters
    assert {id(tensor) for tensor in trainable(parameters).values()} == held
    before = statistics(pack)
    assert before != ([0.0] * 3, [1.0] * 3)
    pack.evaluator.evaluate(pack.stacked, [Subject(0, "final")], 4, greedy=False)
    assert statistics(pack) == before
    assert parameters[MEAN].data_ptr() == pack.stacked[MEAN].data_ptr()
