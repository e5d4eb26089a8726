"""Policies and their observation normalizer."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch

from pgexp.algorithms.algorithm import Algorithm, TrainState
from pgexp.algorithms.collector import Collector
from pgexp.algorithms.evaluator import EvaluationKey
from pgexp.algorithms.policy import MEAN, SCALE, ObservationNormalizer, trainable
from pgexp.baselines.baseline import Baseline
from pgexp.execution.assembly import Run
from pgexp.functional.batch import Batch
from pgexp.functional.normalization import Moments
from pgexp.networks.feedforward import Linear
from tests.algorithms.conftest import MakeRun
from tests.episodes import Episode, batch_of
from tests.softmax_runs import learn_from, policy_of

NO_MEMORY = torch.zeros(2, 0)
POLICY = policy_of(Linear(2, 3, bias=True, initialization="pytorch", gain=1.0), 3)


def test_initial_parameters_depend_on_the_seed_only() -> None:
    first = POLICY.initial(3)
    torch.manual_seed(99)
    again, other = POLICY.initial(3), POLICY.initial(4)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_initial_parameters_are_drawn_in_double_precision(dtype: torch.dtype) -> None:
    rounded = policy_of(POLICY.network, 3, dtype).initial(3)
    assert all(torch.equal(tensor, POLICY.initial(3)[name].to(dtype)) for name, tensor in rounded.items())


def test_it_samples_with_the_uniform_numbers_or_takes_the_mode() -> None:
    parameters = POLICY.initial(0)
    parameters["0.weight"][:] = 0
    parameters["0.bias"][:] = torch.tensor([0.25, 0.5, 0.25]).log()
    observations, uniforms = torch.zeros(2, 2, dtype=torch.float64), torch.tensor([[0.2], [0.8]], dtype=torch.float64)
    assert POLICY.act(parameters, observations, NO_MEMORY, uniforms).actions.tolist() == [0, 2]
    assert POLICY.act(parameters, observations, NO_MEMORY, None).actions.tolist() == [1, 1]


def test_a_forbidden_action_is_neither_sampled_nor_the_mode() -> None:
    parameters = POLICY.initial(0)
    parameters["0.weight"][:] = 0
    parameters["0.bias"][:] = torch.tensor([0.25, 0.5, 0.25]).log()
    observations = torch.zeros(2, 2, dtype=torch.float64)
    masks = torch.tensor([[True, False, True], [False, False, True]])
    for uniform, expected in ((0.49, [0, 2]), (0.51, [2, 2]), (0.0, [0, 2])):
        uniforms = torch.full((2, 1), uniform, dtype=torch.float64)
        assert POLICY.act(parameters, observations, NO_MEMORY, uniforms, masks).actions.tolist() == expected
    parameters["0.bias"][2] += 1e-3
    assert POLICY.act(parameters, observations, NO_MEMORY, None, masks).actions.tolist() == [2, 2]


def test_acting_records_no_gradient() -> None:
    parameters = {name: tensor.requires_grad_() for name, tensor in POLICY.initial(0).items()}
    observations, uniforms = torch.zeros(1, 2, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)
    assert not POLICY.act(parameters, observations, torch.zeros(1, 0), uniforms).samples.requires_grad


NORMALIZED = ("env.normalize_observations=true", "algorithm.batch.episodes=4", "env.num_envs=2", "network=mlp")


def statistics(run: Run) -> tuple[list[float], list[float]]:
    return run.parameters.views[MEAN].tolist(), run.parameters.views[SCALE].tolist()


def test_before_the_first_update_observations_are_not_changed(run_on: MakeRun) -> None:
    run = run_on("Diary", *NORMALIZED, "env.clip_observations=null")
    assert statistics(run) == ([0.0] * 3, [1.0] * 3)
    batch = run.collector.collect()
    seen = run.policy.normalizer.normalize_batch(run.trainer.state.parameters, batch)
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
        learn_from(run.trainer, batch)
        past.append(batch.observations)


@dataclass
class BatchRecorder(Algorithm):
    """An algorithm that changes nothing and records its batches."""

    batches: list[Batch] = field(default_factory=list)

    def config_conflicts(self, baseline: Baseline) -> Sequence[str]:
        return []

    def bias_sources(self, baseline: Baseline) -> Sequence[str]:
        return []

    @property
    def depends_on_progress(self) -> bool:
        return False

    def update(self, state: TrainState, collector: Collector, progress: float) -> tuple[Batch, dict[str, float]]:
        batch = collector.collect()
        self.batches.append(state.policy.normalizer.normalize_batch(state.parameters, batch))
        return batch, {}


def test_updates_and_actions_use_equal_observations(run_on: MakeRun) -> None:
    run, recorder = run_on("Diary", *NORMALIZED, "dtype=float64", "env.clip_observations=null"), BatchRecorder()
    run.trainer.algorithm = recorder
    for _ in range(3):
        mean, scale = map(np.array, statistics(run))
        batch = run.collector.collect()
        learn_from(run.trainer, batch)
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
    normalizer = ObservationNormalizer(torch.float64, 1, None)
    parameters = normalizer.statistics(Moments.empty(1).merged(np.full((5, 1), 3.0)))
    assert normalizer.normalize(parameters, torch.tensor([[3.0]])).tolist() == [[0.0]]


def test_rows_and_batches_are_normalised_to_the_same_bits() -> None:
    normalizer = ObservationNormalizer(torch.float32, 3, 10.0)
    rows = np.random.default_rng(0).normal(5.0, 100.0, (7, 3)).astype(np.float32)
    parameters = normalizer.statistics(Moments.empty(3).merged(rows[:3]))
    acted = torch.cat([normalizer.normalize(parameters, torch.from_numpy(row).reshape(1, 3)) for row in rows])
    batch = replace(batch_of(Episode([[0.0] * 3] * 7, [0] * 7, [0.0] * 7)), observations=rows)
    assert np.array_equal(normalizer.normalize_batch(parameters, batch).observations, acted.numpy())


def test_bytes_of_images_become_fractions() -> None:
    for dtype in (torch.float32, torch.float64):
        seen = ObservationNormalizer(dtype, None, None).normalize({}, torch.tensor([[0, 51, 255]], dtype=torch.uint8))
        assert seen.dtype == dtype
        torch.testing.assert_close(seen, torch.tensor([[0.0, 0.2, 1.0]], dtype=dtype))


def test_the_statistics_of_pictures_are_those_of_the_fractions(run_on: MakeRun) -> None:
    run = run_on("Bars", *NORMALIZED, "dtype=float64")
    batch = run.collector.collect()
    assert batch.observations.dtype == np.uint8
    learn_from(run.trainer, batch)
    np.testing.assert_allclose(statistics(run)[0], batch.observations.mean(0) / 255, rtol=1e-12)


def test_optimizer_and_evaluation_do_not_change_the_statistics(run_on: MakeRun) -> None:
    run = run_on("Diary", *NORMALIZED, "budget.steps=60")
    list(run.trainer.train())
    held = {id(tensor) for group in run.trainer.state.optimizer.param_groups for tensor in group["params"]}
    parameters = run.trainer.state.parameters
    assert {id(tensor) for tensor in trainable(parameters).values()} == held
    before = statistics(run)
    assert before != ([0.0] * 3, [1.0] * 3)
    run.evaluator.evaluate(run.parameters.views, EvaluationKey(0, "final"), 4, greedy=False)
    assert statistics(run) == before
    assert parameters[MEAN].data_ptr() == run.parameters.views[MEAN].data_ptr()
