"""Groups of jobs, and names of runs."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from pgexp.execution.plan import Job, configuration_names, packs, parameters
from pgexp.schema.config import RunConfig
from tests.conftest import Compose

Composed = Callable[[str], RunConfig]

SHAPING = [
    "env=acrobot",
    "env.num_envs=4",
    "env.max_episode_steps=100",
    "network=linear",
    "network.widths=[32,16]",
    "network.activation=tanh",
    "dtype=float64",
    "algorithm.batch.episodes=16",
    "evaluation.every=500",
    "evaluation.final_episodes=3",
]
DIFFERING_WITHIN = [
    "seed=1",
    "budget.steps=100",
    "optimizer=sgd",
    "optimizer.lr=0.5",
    "schedule=cosine",
    "baseline=none",
    "baseline.fit_steps=9",
    "algorithm.gamma=0.5",
    "algorithm.credit=total_return",
    "evaluation.video=true",
    "tracking.experiment=other",
]


@pytest.fixture(scope="module")
def composed(configured: Compose) -> Composed:
    """Return a function from a job's line to its config; the same line is composed once."""
    return cache(lambda line: configured(*line.split()))


def planned(composed: Composed, *jobs: str) -> list[list[int]]:
    return packs([Job(composed(job), Path(str(index))) for index, job in enumerate(jobs)])


@pytest.mark.parametrize("override", SHAPING)
def test_jobs_of_different_structure_train_apart(composed: Composed, override: str) -> None:
    assert planned(composed, "", override) == [[0], [1]]


@pytest.mark.parametrize("override", DIFFERING_WITHIN)
def test_jobs_of_one_structure_train_together(composed: Composed, override: str) -> None:
    assert planned(composed, "", override) == [[0, 1]]


def test_an_automatic_num_envs_and_the_same_number_set_are_one_structure(composed: Composed) -> None:
    assert planned(composed, "", "env.num_envs=8") == [[0, 1]]


def test_packs_and_their_jobs_stand_in_the_order_of_the_sweep(composed: Composed) -> None:
    jobs = ("seed=0", "seed=0 dtype=float64", "seed=1", "env=acrobot", "seed=1 dtype=float64")
    assert planned(composed, *jobs) == [[0, 2], [1, 4], [3]]


def names(composed: Composed, *jobs: str) -> list[str]:
    return configuration_names([composed(job) for job in jobs])


def test_a_configuration_is_named_by_the_keys_that_differ(composed: Composed) -> None:
    jobs = ("optimizer.lr=0.1", "optimizer.lr=0.1 algorithm.gamma=0.5", "optimizer.lr=0.2")
    assert names(composed, *jobs) == ["lr=0.1 gamma=0.99", "lr=0.1 gamma=0.5", "lr=0.2 gamma=0.99"]


def test_a_single_configuration_is_named_by_its_environment_and_baseline(composed: Composed) -> None:
    assert names(composed, "seed=1", "seed=2") == ["CartPole-v1 value"] * 2


def test_the_seed_is_no_part_of_a_configuration_s_name(composed: Composed) -> None:
    assert names(composed, "seed=1 baseline=none", "seed=2 baseline=mean") == ["baseline=none", "baseline=mean"]


def test_options_that_differ_are_named_without_their_own_keys(composed: Composed) -> None:
    assert names(composed, "optimizer=adam", "optimizer=sgd") == ["optimizer=adam", "optimizer=sgd"]
    assert names(composed, "env=cartpole", "env=acrobot") == ["env=cartpole", "env=acrobot"]


def test_an_option_s_own_key_is_named_where_it_differs_among_that_option_s_runs(composed: Composed) -> None:
    jobs = ("baseline=value baseline.fit_steps=1", "baseline=value baseline.fit_steps=2", "baseline=none")
    assert names(composed, *jobs) == ["baseline=value fit_steps=1", "baseline=value fit_steps=2", "baseline=none"]


def test_keys_whose_last_parts_are_the_same_are_named_in_full(composed: Composed) -> None:
    jobs = ("optimizer.lr=0.1 baseline.lr=0.2", "optimizer.lr=0.2 baseline.lr=0.1")
    assert names(composed, *jobs) == ["optimizer.lr=0.1 baseline.lr=0.2", "optimizer.lr=0.2 baseline.lr=0.1"]


def test_a_key_that_is_set_in_some_configurations_only_is_told_there(composed: Composed) -> None:
    assert names(composed, "", "algorithm.max_grad_norm=0.5")[1] == "max_grad_norm=0.5"


def test_parameters_are_flat_and_begin_with_the_options(composed: Composed) -> None:
    found = parameters(composed("seed=3 network.widths=[4,5] +env.kwargs.gravity=1.5"))
    assert list(found)[:7] == ["env", "network", "head", "optimizer", "schedule", "baseline", "algorithm"]
    assert list(found.values())[:7] == ["cartpole", "mlp", "auto", "adam", "linear", "value", "reinforce"]
    expected = {
        "seed": 3,
        "dtype": "float32",
        "env.id": "CartPole-v1",
        "env.num_envs": 8,
        "env.kwargs.gravity": 1.5,
        "network.widths": "[4, 5]",
        "optimizer.betas": "[0.9, 0.999]",
        "schedule.final": 0.0,
        "baseline.network.output_gain": 1.0,
        "algorithm.batch.episodes": 8,
        "algorithm.discount_states": False,
        "budget.steps": 200_000,
        "evaluation.greedy": False,
    }
    assert found.items() >= expected.items()
    assert all(isinstance(value, str | int | float | bool) for value in found.values())


def test_parameters_leave_out_what_is_not_set_and_what_decides_no_number(composed: Composed) -> None:
    found = parameters(composed("evaluation.video=true"))
    assert not found.keys() & {"budget.episodes", "algorithm.max_grad_norm", "evaluation.video", "tracking.uri"}
    assert not [name for name in found if "_target_" in name]
