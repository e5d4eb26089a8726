"""Policy files: tensors and descriptions."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pgexp.functional.spaces import ActionSpace
from pgexp.runs.policy import read_described_policy, read_policy, write_policy
from pgexp.schema.errors import UserError

DESCRIPTION: dict[str, Any] = {
    "seed": 3,
    "steps": 200,
    "dtype": "float32",
    "env": {"id": "CartPole-v1"},
    "network": {"_target_": "pgexp.networks.feedforward.Linear"},
    "head": {"_target_": "pgexp.networks.heads.automatic.AutomaticHead"},
    "shared_value": False,
    "observation_shape": [4],
    "observation_dtype": "float32",
    "pictures": False,
    "action_shape": [],
    "action_dtype": "int64",
    "action_start": [0],
    "action_space": {"kind": "discrete", "size": 1, "counts": [2], "low": [], "high": []},
    "memory_size": 0,
    "greedy": False,
    "num_envs": 20,
}


def test_description_is_read_unchanged(tmp_path: Path) -> None:
    write_policy(tmp_path, {"bias": np.zeros(2)}, DESCRIPTION)
    tensors, description = read_described_policy(tmp_path)
    assert tensors.keys() == {"bias"}
    assert (description.seed, description.steps, description.observation_shape) == (3, 200, [4])
    assert description.space == ActionSpace("discrete", 1, counts=(2,))


@pytest.mark.parametrize(
    "space",
    [
        ActionSpace("discrete", 1, counts=(4,)),
        ActionSpace("multi_discrete", 2, counts=(2, 3)),
        ActionSpace("multi_binary", 3),
        ActionSpace("box", 2, low=(-np.inf, 0.0), high=(np.inf, 10.0)),
    ],
)
def test_space_is_preserved_in_json(space: ActionSpace) -> None:
    assert ActionSpace.from_description(json.loads(json.dumps(space.description(), allow_nan=False))) == space


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"steps": "many"}, "steps: must be a whole number at least 0 (got 'many')"),
        ({"num_envs": 0}, "num_envs: must be a whole number greater than 0 (got 0)"),
        ({"dtype": "bfloat16"}, "dtype: must be one of float32, float64 (got 'bfloat16')"),
        ({"observation_shape": [-1]}, "observation_shape: must be"),
        ({"observation_dtype": "words"}, "observation_dtype: must be a type of numbers"),
        ({"action_dtype": "object"}, "action_dtype: must be a type of numbers"),
        ({"action_space": {}}, "action_space: must be"),
        (
            {"action_space": {"kind": "box", "size": 2, "counts": [], "low": [0], "high": [1, 1]}},
            "action_space: must be",
        ),
        ({"action_space": {"kind": "text", "size": 1, "counts": [], "low": [], "high": []}}, "action_space: must be"),
        ({"action_shape": [2]}, "action_shape: must have 1 numbers"),
        ({"action_start": [0, 1]}, "action_start: must have 1 or 1 numbers"),
        ({"stepz": 3}, "stepz: unknown key (got 3). Did you mean 'steps'?"),
    ],
)
def test_invalid_value_is_reported_with_its_key(tmp_path: Path, changes: dict[str, Any], problem: str) -> None:
    write_policy(tmp_path, {}, DESCRIPTION | changes)
    with pytest.raises(UserError) as raised:
        read_described_policy(tmp_path)
    (raised_problem,) = raised.value.problems
    assert raised_problem.key == "policy"
    assert f"policy.json is not a valid description: {problem}" in raised_problem.text


@pytest.mark.parametrize("missing", sorted(DESCRIPTION))
def test_missing_key_is_named(tmp_path: Path, missing: str) -> None:
    write_policy(tmp_path, {}, {key: value for key, value in DESCRIPTION.items() if key != missing})
    with pytest.raises(UserError, match=f"policy.json is not a valid description: {missing}: is missing"):
        read_described_policy(tmp_path)


@pytest.mark.parametrize(
    ("file", "content"),
    [("policy.json", None), ("policy.json", b"{"), ("policy.json", b"[]"), ("policy.safetensors", b"\x80\x04.")],
)
def test_damaged_or_foreign_file_is_named(tmp_path: Path, file: str, content: bytes | None) -> None:
    write_policy(tmp_path, {}, DESCRIPTION)
    (tmp_path / file).unlink()
    if content is not None:
        (tmp_path / file).write_bytes(content)
    with pytest.raises(UserError, match=file):
        read_described_policy(tmp_path)


TENSORS = {
    "head.weight": np.arange(6, dtype=np.float32).reshape(2, 3).T,
    "mean": np.array([0.1]),
    "count": np.array(3),
}
SIMPLE_DESCRIPTION = {"env": {"id": "CartPole-v1"}, "action": [0, 1], "squash": False}


def test_policy_is_read_unchanged(tmp_path: Path) -> None:
    write_policy(tmp_path / "policy", TENSORS, SIMPLE_DESCRIPTION)
    tensors, description = read_policy(tmp_path / "policy")
    assert description == SIMPLE_DESCRIPTION
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert tensors[name].dtype == tensor.dtype
        np.testing.assert_array_equal(tensors[name], tensor, strict=True)


@pytest.mark.parametrize(
    ("file", "content", "problem"),
    [
        ("policy.safetensors", None, "No such file"),
        ("policy.safetensors", b"\x08", "damaged"),
        ("policy.json", None, "No such file"),
        ("policy.json", b"{", "not JSON"),
    ],
)
def test_missing_or_damaged_file_is_named(tmp_path: Path, file: str, content: bytes | None, problem: str) -> None:
    write_policy(tmp_path, TENSORS, SIMPLE_DESCRIPTION)
    (tmp_path / file).unlink()
    if content is not None:
        (tmp_path / file).write_bytes(content)
    with pytest.raises(ValueError, match=f"{file}: .*{problem}"):
        read_policy(tmp_path)


def test_invalid_description_keeps_the_old_policy(tmp_path: Path) -> None:
    write_policy(tmp_path, TENSORS, SIMPLE_DESCRIPTION)
    with pytest.raises(ValueError, match="JSON"):
        write_policy(tmp_path, {"other": np.zeros(1)}, {"high": float("inf")})
    tensors, description = read_policy(tmp_path)
    assert tensors.keys() == TENSORS.keys()
    assert description == SIMPLE_DESCRIPTION
