"""Names and flat parameters of configurations."""

from collections.abc import Callable
from functools import cache

import pytest

from pgexp.execution.jobs import config_params, configuration_names
from pgexp.schema.config import RunConfig
from tests.conftest import Compose

Composed = Callable[[str], RunConfig]


@pytest.fixture(scope="module")
def composed(configured: Compose) -> Composed:
    """Return a cached function that composes a line of overrides."""
    return cache(lambda line: configured(*line.split()))


def names(composed: Composed, *jobs: str) -> list[str]:
    return configuration_names([composed(job) for job in jobs])


def test_a_configuration_is_named_by_the_keys_that_differ(composed: Composed) -> None:
    jobs = ("optimizer.lr=0.1", "optimizer.lr=0.1 algorithm.gamma=0.5", "optimizer.lr=0.2")
    assert names(composed, *jobs) == ["lr=0.1 gamma=0.99", "lr=0.1 gamma=0.5", "lr=0.2 gamma=0.99"]


def test_a_single_configuration_has_a_default_name(composed: Composed) -> None:
    assert names(composed, "seed=1", "seed=2") == ["CartPole-v1 value"] * 2


def test_names_do_not_contain_the_seed(composed: Composed) -> None:
    assert names(composed, "seed=1 baseline=none", "seed=2 baseline=mean") == ["baseline=none", "baseline=mean"]


def test_options_that_differ_are_named_without_their_keys(composed: Composed) -> None:
    assert names(composed, "optimizer=adam", "optimizer=sgd") == ["optimizer=adam", "optimizer=sgd"]
    assert names(composed, "env=cartpole", "env=acrobot") == ["env=cartpole", "env=acrobot"]


def test_an_options_key_is_named_if_it_differs_within_the_option(composed: Composed) -> None:
    jobs = ("baseline=value baseline.value_updates=1", "baseline=value baseline.value_updates=2", "baseline=none")
    assert names(composed, *jobs) == [
        "baseline=value value_updates=1",
        "baseline=value value_updates=2",
        "baseline=none",
    ]


def test_keys_with_equal_endings_are_named_in_full(composed: Composed) -> None:
    jobs = ("optimizer.lr=0.1 baseline.lr=0.2", "optimizer.lr=0.2 baseline.lr=0.1")
    assert names(composed, *jobs) == ["optimizer.lr=0.1 baseline.lr=0.2", "optimizer.lr=0.2 baseline.lr=0.1"]


def test_a_key_that_only_some_configurations_have(composed: Composed) -> None:
    assert names(composed, "", "algorithm.max_grad_norm=0.5")[1] == "max_grad_norm=0.5"


def test_params_are_flat_and_begin_with_the_options(composed: Composed) -> None:
    found = config_params(composed("seed=3 network.widths=[4,5] +env.kwargs.gravity=1.5"))
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


def test_params_do_not_contain_keys_that_change_no_number(composed: Composed) -> None:
    found = config_params(composed("evaluation.video=true"))
    assert not found.keys() & {"budget.episodes", "algorithm.max_grad_norm", "evaluation.video", "tracking.uri"}
    assert not [name for name in found if "_target_" in name]
