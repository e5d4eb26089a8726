from pathlib import Path

import numpy as np
import pytest

from pgexp.storage.policy import read_policy, write_policy

TENSORS = {
    "head.weight": np.arange(6, dtype=np.float32).reshape(2, 3).T,
    "mean": np.array([0.1]),
    "count": np.array(3),
}
DESCRIPTION = {"env": {"id": "CartPole-v1"}, "action": [0, 1], "squash": False}


def test_a_policy_reads_back_as_it_was(tmp_path: Path) -> None:
    write_policy(tmp_path / "policy", TENSORS, DESCRIPTION)
    tensors, description = read_policy(tmp_path / "policy")
    assert description == DESCRIPTION
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert tensors[name].dtype == tensor.dtype
        np.testing.assert_array_equal(tensors[name], tensor, strict=True)


@pytest.mark.parametrize(
    ("file", "content", "wrong"),
    [
        ("policy.safetensors", None, "No such file"),
        ("policy.safetensors", b"\x08", "damaged"),
        ("policy.json", None, "No such file"),
        ("policy.json", b"{", "not JSON"),
    ],
)
def test_what_is_missing_or_damaged_is_named(tmp_path: Path, file: str, content: bytes | None, wrong: str) -> None:
    write_policy(tmp_path, TENSORS, DESCRIPTION)
    (tmp_path / file).unlink()
    if content is not None:
        (tmp_path / file).write_bytes(content)
    with pytest.raises(ValueError, match=f"{file}: .*{wrong}"):
        read_policy(tmp_path)


def test_a_description_that_is_no_plain_json_leaves_the_old_policy(tmp_path: Path) -> None:
    write_policy(tmp_path, TENSORS, DESCRIPTION)
    with pytest.raises(ValueError, match="JSON"):
        write_policy(tmp_path, {"other": np.zeros(1)}, {"high": float("inf")})
    tensors, description = read_policy(tmp_path)
    assert tensors.keys() == TENSORS.keys()
    assert description == DESCRIPTION
