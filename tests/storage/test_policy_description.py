"""A policy's description: damaged and foreign ones are refused in a sentence."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pgexp.functional.spaces import ActionSpace
from pgexp.schema.errors import ConfigError
from pgexp.storage.policy import write_policy
from pgexp.storage.policy_description import read_described

DESCRIPTION: dict[str, Any] = {
    "seed": 3,
    "steps": 200,
    "dtype": "float32",
    "env": {"id": "CartPole-v1"},
    "network": {"_target_": "pgexp.networks.linear.Linear"},
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


def test_a_description_reads_back(tmp_path: Path) -> None:
    write_policy(tmp_path, {"bias": np.zeros(2)}, DESCRIPTION)
    tensors, described = read_described(tmp_path)
    assert tensors.keys() == {"bias"}
    assert (described.seed, described.steps, described.observation_shape) == (3, 200, [4])
    assert described.space == ActionSpace("discrete", 1, counts=(2,))


@pytest.mark.parametrize(
    "space",
    [
        ActionSpace("discrete", 1, counts=(4,)),
        ActionSpace("multi_discrete", 2, counts=(2, 3)),
        ActionSpace("multi_binary", 3),
        ActionSpace("box", 2, low=(-np.inf, 0.0), high=(np.inf, 10.0)),
    ],
)
def test_a_space_is_the_same_once_told_in_json(space: ActionSpace) -> None:
    assert ActionSpace.of(json.loads(json.dumps(space.described(), allow_nan=False))) == space


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"steps": "many"}, "steps: given 'many'; must be a whole number"),
        ({"num_envs": 0}, "num_envs: given 0; must be a whole number greater than 0"),
        ({"dtype": "bfloat16"}, "dtype: given 'bfloat16'; must be one of float32, float64"),
        ({"observation_shape": [-1]}, "observation_shape: given"),
        ({"observation_dtype": "words"}, "observation_dtype: given 'words'; must be a kind of number"),
        ({"action_dtype": "object"}, "action_dtype: given 'object'; must be a kind of number"),
        ({"action_space": {}}, "action_space: given {}; must be a space's description"),
        ({"action_space": {"kind": "box", "size": 2, "counts": [], "low": [0], "high": [1, 1]}}, "action_space: given"),
        ({"action_space": {"kind": "text", "size": 1, "counts": [], "low": [], "high": []}}, "action_space: given"),
        ({"action_shape": [2]}, "action_shape: given [2]; must hold 1 numbers"),
        ({"action_start": [0, 1]}, "action_start: given [0, 1]; must be one number, or 1"),
        ({"stepz": 3}, "stepz: unknown key (given 3). Did you mean 'steps'?"),
    ],
)
def test_what_is_wrong_is_told_with_its_key(tmp_path: Path, changed: dict[str, Any], told: str) -> None:
    write_policy(tmp_path, {}, DESCRIPTION | changed)
    with pytest.raises(ConfigError) as raised:
        read_described(tmp_path)
    (problem,) = raised.value.problems
    assert problem.key == "policy"
    assert f"policy.json describes no policy: {told}" in problem.text


@pytest.mark.parametrize("missing", sorted(DESCRIPTION))
def test_what_is_missing_is_named(tmp_path: Path, missing: str) -> None:
    write_policy(tmp_path, {}, {key: value for key, value in DESCRIPTION.items() if key != missing})
    with pytest.raises(ConfigError, match=f"policy.json describes no policy: {missing}: missing"):
        read_described(tmp_path)


@pytest.mark.parametrize(
    ("file", "content"),
    [("policy.json", None), ("policy.json", b"{"), ("policy.json", b"[]"), ("policy.safetensors", b"\x80\x04.")],
)
def test_a_damaged_or_foreign_file_is_named(tmp_path: Path, file: str, content: bytes | None) -> None:
    write_policy(tmp_path, {}, DESCRIPTION)
    (tmp_path / file).unlink()
    if content is not None:
        (tmp_path / file).write_bytes(content)
    with pytest.raises(ConfigError, match=file):
        read_described(tmp_path)
