"""Policies that are loaded from files, and errors of files that do not fit."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from pgexp.execution.trained_policy import load_policy, load_run_policy, read_env
from pgexp.schema.config import Option
from pgexp.schema.errors import UserError
from tests.conftest import Compose
from tests.execution.policy_files import KINDS, STEPS, keep
from tests.tiers import tiered

ROWS = 5
# The other kinds are read from their files in the fast tier of `test_serving.py`.
FAST = ("discrete", "normalised observations", "own dynamics", "own module", "shared value", "with two memories")
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
    if not run.env.images:
        observations = observations.to(policy.dtype) / 255
    memory = torch.from_numpy(draws.normal(size=(ROWS, policy.memory_size))).to(policy.dtype)
    for uniforms in (None, torch.from_numpy(draws.random((ROWS, policy.distribution.draws)))):
        expected = policy.act(parameters, observations, memory, uniforms)
        found = trained.policy.act(trained.parameters, observations, memory, uniforms)
        for left, right in zip(expected, found, strict=True):
            assert torch.equal(left, right)


def test_a_user_network_is_built(configured: Compose, tmp_path: Path) -> None:
    squeeze = Option("tests.execution.own.mine.Squeeze", {"units": 3})
    _, parameters = keep(replace(configured(*LINEAR), network=squeeze), tmp_path)
    trained = load_policy(tmp_path)
    assert type(trained.policy.network).__name__ == "Squeeze"
    assert trained.parameters.keys() == parameters.keys()


def test_secrets_of_the_environment_are_masked(configured: Compose, tmp_path: Path) -> None:
    config = configured(*LINEAR)
    secretive = replace(config.env, id="tests.execution.own.mine:Clock-v0", kwargs={"deed": "http://me:word@host"})
    keep(replace(config, env=secretive), tmp_path)
    assert "word" not in (tmp_path / "policy.json").read_text()
    with pytest.raises(UserError, match=r"env\.kwargs\.deed: is a secret"):
        load_policy(tmp_path)


def test_a_run_without_a_checkpoint_has_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no last checkpoint"):
        load_run_policy(tmp_path)


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
    ("edit", "message"),
    [
        (lambda fields: fields["network"].pop("_target_"), "network: must be a mapping"),
        (lambda fields: fields.update(network={"_target_": "os.system"}), "os.system must be a subclass"),
        (lambda fields: fields.update(network={"_target_": "absent.Net"}), "absent.Net cannot be imported"),
        (lambda fields: fields.update(head={"_target_": "pgexp.networks.feedforward.Linear"}), "must be a subclass"),
        (lambda fields: fields["network"].update(depth=3), "Linear refuses its arguments"),
        (lambda fields: fields["network"].update(gain="x"), "parameters cannot be initialized"),
        (lambda fields: fields["env"].update(num_envs=-1), "env.num_envs: .*-1"),
        (lambda fields: fields["env"].update(colour=1), "env.colour: unknown key"),
        (lambda fields: fields["env"].update(dynamics=3), r"env.dynamics: .*got 3"),
        (lambda fields: fields["env"].update(wrappers=3), r"env.wrappers: must be a list \(got 3\)"),
        (lambda fields: fields["env"].update(wrappers=[3]), r"env.wrappers\[0\]: .*got 3"),
    ],
)
def test_a_description_of_something_else_is_refused(
    configured: Compose, tmp_path: Path, edit: Callable[[dict[str, Any]], object], message: str
) -> None:
    keep(configured(*LINEAR), tmp_path)
    edited(tmp_path, edit)
    with pytest.raises(UserError, match=message):
        load_policy(tmp_path)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda tensors: tensors.pop("0.bias"), "0.bias missing"),
        (lambda tensors: tensors.update(extra=np.zeros(1)), "extra unknown"),
        (
            lambda tensors: tensors.update({"0.bias": tensors["0.bias"][:1]}),
            r"0.bias must be float32\[2\] \(got float32\[1\]\)",
        ),
        (
            lambda tensors: tensors.update({"0.bias": tensors["0.bias"].astype(np.float64)}),
            r"0.bias must be float32\[2\] \(got float64\[2\]\)",
        ),
    ],
)
def test_tensors_must_fit_the_description(
    configured: Compose, tmp_path: Path, edit: Callable[[dict[str, Any]], object], message: str
) -> None:
    keep(configured(*LINEAR), tmp_path)
    tensors = load_file(tmp_path / "policy.safetensors")
    edit(tensors)
    save_file(tensors, tmp_path / "policy.safetensors")
    with pytest.raises(UserError, match=f"policy.safetensors does not fit the description: {message}"):
        load_policy(tmp_path)
