"""A policy that was kept is built again, and acts as it did; what does not fit is refused in a sentence."""

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

ROWS = 5
LINEAR = ("env=cartpole", "network=linear", "baseline=none")


@pytest.mark.parametrize("kind", KINDS)
def test_a_policy_that_was_kept_acts_as_it_did(configured: Compose, tmp_path: Path, kind: str) -> None:
    config = configured(*KINDS[kind])
    pack, stacked = keep(config, tmp_path)
    trained = load_policy(tmp_path)
    assert (trained.description.seed, trained.description.steps) == (config.seed, STEPS)
    assert read_env(trained.description) == config.env
    policy, draws = pack.policy, np.random.default_rng(0)
    observations = torch.from_numpy(draws.integers(0, 255, (1, ROWS, pack.env.observation_size), dtype=np.uint8))
    if pack.env.observation_dtype is None:
        observations = observations.to(policy.dtype) / 255
    memory = torch.from_numpy(draws.normal(size=(1, ROWS, policy.memory_size))).to(policy.dtype)
    for noise in (None, torch.from_numpy(policy.distribution.noise(draws, ROWS)).unsqueeze(0)):
        expected = policy.act(stacked, observations, memory, noise)
        found = trained.policy.act(
            {name: tensor.unsqueeze(0) for name, tensor in trained.parameters.items()}, observations, memory, noise
        )
        for left, right in zip(expected, found, strict=True):
            assert torch.equal(left, right)


def test_a_network_of_a_user_s_own_is_built_again(configured: Compose, tmp_path: Path) -> None:
    squeeze = Option("tests.execution.own.mine.Squeeze", {"units": 3})
    _, stacked = keep(replace(configured(*LINEAR), network=squeeze), tmp_path)
    trained = load_policy(tmp_path)
    assert type(trained.policy.network).__name__ == "Squeeze"
    assert trained.parameters.keys() == stacked.keys()


def test_secrets_of_the_environment_are_masked_and_asked_for(configured: Compose, tmp_path: Path) -> None:
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


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda fields: fields["network"].pop("_target_"), "network: given"),
        (lambda fields: fields.update(network={"_target_": "os.system"}), "os.system is no"),
        (lambda fields: fields.update(network={"_target_": "absent.Net"}), "absent.Net can't be imported"),
        (lambda fields: fields.update(head={"_target_": "pgexp.networks.linear.Linear"}), "is no"),
        (lambda fields: fields["network"].update(depth=3), "Linear refuses its arguments"),
        (lambda fields: fields["network"].update(gain="x"), "parameters can't be made"),
        (lambda fields: fields["env"].update(slots=-1), "env.slots: given -1"),
        (lambda fields: fields["env"].update(colour=1), "env.colour: unknown key"),
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
