"""Policies built from their files, and the errors if a file does not fit."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from pgexp.execution.policies import load_policy, load_policy_of_run, read_env
from pgexp.schema.config import Option
from pgexp.schema.errors import ConfigError
from tests.conftest import Compose
from tests.execution.kept import KINDS, STEPS, keep
from tests.tiers import tiered

ROWS = 5
# The other kinds are read from their files in the fast tier of `test_serving.py`.
FAST = ("discrete", "normalised observations", "own dynamics", "own module", "a value beside", "with two memories")
LINEAR = ("env=cartpole", "network=linear", "baseline=none")


@pytest.mark.parametrize("kind", tiered(KINDS, lambda kind: kind in FAST))
def test_a_policy_from_its_file_acts_as_before(configured: Compose, tmp_path: Path, kind: str) -> None:
    config = configured(*KINDS[kind])
    run, parameters = keep(config, tmp_path)
    trained = load_policy(tmp_path)
    assert (trained.description.seed, trained.description.steps) == (config.seed, STEPS)
    assert read_env(trained.description) == config.env
    policy, draws = run.policy, np.random.default_rng(0)
    observations = torch.from_numpy(draws.integers(0, 255, (ROWS, run.env.observation_size), dtype=np.uint8))
    if not run.env.pictures:
        observations = observations.to(policy.dtype) / 255
    memory = torch.from_numpy(draws.normal(size=(ROWS, policy.memory_size))).to(policy.dtype)
    for uniforms in (None, torch.from_numpy(draws.random((ROWS, policy.distribution.draws)))):
        expected = policy.act(parameters, observations, memory, uniforms)
        found = trained.policy.act(trained.parameters, observations, memory, uniforms)
        for left, right in zip(expected, found, strict=True):
            assert torch.equal(left, right)


def test_a_network_of_a_users_own_is_built(configured: Compose, tmp_path: Path) -> None:
    squeeze = Option("tests.execution.own.mine.Squeeze", {"units": 3})
    _, parameters = keep(replace(configured(*LINEAR), network=squeeze), tmp_path)
    trained = load_policy(tmp_path)
    assert type(trained.policy.network).__name__ == "Squeeze"
    assert trained.parameters.keys() == parameters.keys()


def test_secrets_of_the_environment_are_masked_and_must_be_given(configured: Compose, tmp_path: Path) -> None:
    config = configured(*LINEAR)
    secretive = replace(config.env, id="tests.execution.own.mine:Clock-v0", kwargs={"deed": "http://me:word@host"})
    keep(replace(config, env=secretive), tmp_path)
    assert "word" not in (tmp_path / "policy.json").read_text()
    with pytest.raises(ConfigError, match=r"env\.kwargs\.deed: a secret, and was masked"):
        load_policy(tmp_path)


def test_a_run_that_has_not_ended_has_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no last checkpoint: the run has kept none yet"):
        load_policy_of_run(tmp_path)


def edited(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "policy.json"
    fields = json.loads(path.read_text())
    edit(fields)
    path.write_text(json.dumps(fields))


def test_a_description_from_before_dynamics_has_none(configured: Compose, tmp_path: Path) -> None:
    config = configured(*LINEAR)
    keep(config, tmp_path)
    edited(tmp_path, lambda fields: fields["env"].pop("dynamics"))
    assert read_env(load_policy(tmp_path).description) == config.env


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda fields: fields["network"].pop("_target_"), "network: given"),
        (lambda fields: fields.update(network={"_target_": "os.system"}), "os.system is no"),
        (lambda fields: fields.update(network={"_target_": "absent.Net"}), "absent.Net can't be imported"),
        (lambda fields: fields.update(head={"_target_": "pgexp.networks.linear.Linear"}), "is no"),
        (lambda fields: fields["network"].update(depth=3), "Linear refuses its arguments"),
        (lambda fields: fields["network"].update(gain="x"), "parameters can't be made"),
        (lambda fields: fields["env"].update(num_envs=-1), "env.num_envs: given -1"),
        (lambda fields: fields["env"].update(colour=1), "env.colour: unknown key"),
        (lambda fields: fields["env"].update(dynamics=3), "env.dynamics: given 3"),
        (lambda fields: fields["env"].update(wrappers=3), "env.wrappers: given 3; must be a list"),
        (lambda fields: fields["env"].update(wrappers=[3]), r"env.wrappers\[0\]: given 3"),
    ],
)
def test_a_description_of_something_else_is_refused(
    configured: Compose, tmp_path: Path, edit: Callable[[dict[str, Any]], object], told: str
) -> None:
    keep(configured(*LINEAR), tmp_path)
    edited(tmp_path, edit)
    with pytest.raises(ConfigError, match=told):
        load_policy(tmp_path)


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda tensors: tensors.pop("0.bias"), "lacks 0.bias"),
        (lambda tensors: tensors.update(extra=np.zeros(1)), "has extra, which the policy has not"),
        (
            lambda tensors: tensors.update({"0.bias": tensors["0.bias"][:1]}),
            r"holds 0.bias as float32\[1\], and the policy has it as float32\[2\]",
        ),
        (
            lambda tensors: tensors.update({"0.bias": tensors["0.bias"].astype(np.float64)}),
            r"holds 0.bias as float64\[2\], and the policy has it as float32\[2\]",
        ),
    ],
)
def test_tensors_have_to_fit_the_description(
    configured: Compose, tmp_path: Path, edit: Callable[[dict[str, Any]], object], told: str
) -> None:
    keep(configured(*LINEAR), tmp_path)
    tensors = load_file(tmp_path / "policy.safetensors")
    edit(tensors)
    save_file(tensors, tmp_path / "policy.safetensors")
    with pytest.raises(ConfigError, match=f"policy.safetensors does not fit its description: it {told}"):
        load_policy(tmp_path)
