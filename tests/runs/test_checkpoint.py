"""Checkpoints are read bit by bit, and damaged files are refused."""

import json
import math
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from safetensors import safe_open
from safetensors.numpy import save_file

import pgexp.runs.checkpoint
from pgexp.runs.checkpoint import read_checkpoint, write_checkpoint
from tests.trees import assert_same_tree

SHARED = np.arange(4.0)
SMALL = {"steps": 3, "mean": math.nan, "weight": torch.tensor([1.5]), "taken": np.array([7], dtype=np.uint8)}

TREES: dict[str, Any] = {
    "none": None,
    "a number": 1.5,
    "numbers": [0.1, -0.0, 5e-324, 1.7976931348623157e308, 2**100, -1, True, False],
    "not finite": [math.nan, math.inf, -math.inf],
    "texts": ["", "é \U0001f600", 'quotes " and \\', "nan", "\ud800"],
    "empty": [{}, [], (), {"a": {}}],
    "tuples": [(1, 2), [(3, [4, (5,)])], {"a": ()}],
    "keys": {0: "int", "0": "text", -1: {"": 1}},
    "names as in the format": {"tensor": "0", "array": "0", "dict": [], "tuple": [], "float": "nan"},
    "ranks": [torch.tensor(2.5), np.array(3), np.zeros((0, 3)), torch.zeros(2, 0), np.zeros((1, 2, 1, 2))],
    "kinds of arrays": [np.ones(2, dtype=name) for name in ("?", "u1", "u2", "u4", "u8", "i1", "i4", "i8", "f2", "f4")],
    "kinds of tensors": [torch.ones(2, dtype=kind) for kind in (torch.bool, torch.uint8, torch.int64, torch.float64)],
    "bits": [torch.tensor([math.nan, -0.0, math.inf]), np.array([math.nan, -0.0, 5e-324])],
    "strides": [np.arange(6.0).reshape(2, 3).T, torch.arange(6.0).reshape(2, 3).T, np.arange(9)[::-2]],
    "shared": {"a": SHARED, "b": SHARED, "c": SHARED[:2], "d": torch.from_numpy(SHARED)},
    "small": SMALL,
}

leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    arrays.arrays(st.sampled_from(["f4", "f8", "i8", "u1", "?"]), arrays.array_shapes(min_dims=0, min_side=0)),
)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.one_of(st.text(), st.integers()), inner, max_size=3),
    ),
    max_leaves=8,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "checkpoint" / "last.safetensors"


def assert_refused(path: Path, content: bytes) -> None:
    """Assert that a file with this content is refused, with its name."""
    path.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(str(path))):
        read_checkpoint(path)


@pytest.mark.parametrize("tree", TREES.values(), ids=TREES.keys())
def test_tree_is_read_unchanged(path: Path, tree: Any) -> None:
    write_checkpoint(path, tree)
    assert_same_tree(read_checkpoint(path), tree)


@pytest.mark.slow
@settings(max_examples=60, deadline=None, derandomize=True)
@given(tree=trees)
def test_any_tree_is_read_unchanged(tmp_path_factory: pytest.TempPathFactory, tree: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "any.safetensors"
    write_checkpoint(path, tree)
    assert_same_tree(read_checkpoint(path), tree)


def test_arrays_can_be_modified(path: Path) -> None:
    write_checkpoint(path, TREES["shared"])
    found = read_checkpoint(path)
    found["a"] += 1
    found["d"] += 1
    assert_same_tree(found["b"], np.arange(4.0))


class TestDamage:
    def test_any_changed_byte_is_detected(self, path: Path) -> None:
        write_checkpoint(path, SMALL)
        content_before = path.read_bytes()
        for position in range(len(content_before)):
            for flipped in (0x01, 0x80, 0xFF):
                content = bytearray(content_before)
                content[position] ^= flipped
                assert_refused(path, bytes(content))

    def test_changed_bytes_of_many_tensors_are_detected(self, path: Path) -> None:
        write_checkpoint(path, TREES)
        content_before = path.read_bytes()
        for position in np.random.default_rng(0).choice(len(content_before), 400, replace=False).tolist():
            content = bytearray(content_before)
            content[position] ^= 1 << position % 8
            assert_refused(path, bytes(content))

    def test_any_truncation_is_detected(self, path: Path) -> None:
        write_checkpoint(path, SMALL)
        content_before = path.read_bytes()
        for length in range(len(content_before)):
            assert_refused(path, content_before[:length])

    @pytest.mark.parametrize("more", [b"\0", b"\n", b" " * 100])
    def test_appended_bytes_are_detected(self, path: Path, more: bytes) -> None:
        write_checkpoint(path, SMALL)
        assert_refused(path, path.read_bytes() + more)

    @pytest.mark.parametrize(
        "others",
        [
            {"0": np.ones(2), "1": np.zeros(2)},
            {"0": np.zeros(2, dtype=np.int64), "1": np.ones(2)},
            {"0": np.zeros((2, 1)), "1": np.ones(2)},
            {"0": np.zeros(2), "1": np.ones(2), "2": np.zeros(0)},
            {"0": np.zeros(2)},
        ],
        ids=["exchanged", "another dtype", "another shape", "one more", "one less"],
    )
    def test_exchanged_tensors_are_detected(self, path: Path, others: dict[str, np.ndarray]) -> None:
        write_checkpoint(path, [np.zeros(2), np.ones(2)])
        with safe_open(path, framework="numpy") as file:
            header = file.metadata()
        save_file(others, path, header)
        with pytest.raises(ValueError, match="damaged: the digest does not match"):
            read_checkpoint(path)

    @pytest.mark.parametrize("part", ["tree", "digest"])
    def test_missing_part_is_detected(self, path: Path, part: str) -> None:
        write_checkpoint(path, 1)
        with safe_open(path, framework="numpy") as file:
            header = file.metadata()
        del header[part]
        save_file({}, path, header)
        with pytest.raises(ValueError, match=r"last\.safetensors: damaged"):
            read_checkpoint(path)


class TestOtherFiles:
    @pytest.mark.parametrize(
        "header", [None, {}, {"format": "pt"}, {"format": "pgexp checkpoint 2", "tree": "1"}], ids=repr
    )
    def test_other_safetensors_file(self, tmp_path: Path, header: dict[str, str] | None) -> None:
        path = tmp_path / "model.safetensors"
        save_file({"weight": np.zeros(2)}, path, header)
        with pytest.raises(ValueError, match=r"model\.safetensors: not a checkpoint of this version of pgexp"):
            read_checkpoint(path)

    @pytest.mark.parametrize("content", [b"", b"\0" * 8, b"\xff" * 100, b"{}", pickle.dumps({"steps": 3})], ids=repr)
    def test_other_file(self, tmp_path: Path, content: bytes) -> None:
        assert_refused(tmp_path / "file", content)

    def test_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"last\.safetensors: .*[Nn]o such file"):
            read_checkpoint(tmp_path / "last.safetensors")

    def test_folder(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=re.escape(str(tmp_path))):
            read_checkpoint(tmp_path)


class TestWriting:
    @pytest.fixture
    def kept(self, path: Path) -> Path:
        write_checkpoint(path, SMALL)
        return path

    def assert_unchanged(self, path: Path) -> None:
        assert_same_tree(read_checkpoint(path), SMALL)
        assert [file.name for file in path.parent.iterdir()] == [path.name]

    def test_failed_write_keeps_the_old_file(self, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def half(tensors: object, draft: Path, header: object) -> None:
            draft.write_bytes(b"half")
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(pgexp.runs.checkpoint, "save_file", half)
        with pytest.raises(OSError, match="No space left"):
            write_checkpoint(kept, {"steps": 4})
        self.assert_unchanged(kept)

    def test_interrupted_write_keeps_the_old_file(self, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def interrupted(descriptor: int) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(pgexp.runs.checkpoint.os, "fsync", interrupted)
        with pytest.raises(KeyboardInterrupt):
            write_checkpoint(kept, {"steps": 4})
        self.assert_unchanged(kept)

    @pytest.mark.parametrize("value", [{1, 2}, b"bytes", object()], ids=lambda value: type(value).__name__)
    def test_invalid_tree_keeps_the_old_file(self, kept: Path, value: Any) -> None:
        with pytest.raises(TypeError):
            write_checkpoint(kept, {"a": [value]})
        self.assert_unchanged(kept)

    def test_new_checkpoint_replaces_the_old_one(self, kept: Path) -> None:
        write_checkpoint(kept, {"steps": 4})
        assert read_checkpoint(kept) == {"steps": 4}
        assert [file.name for file in kept.parent.iterdir()] == [kept.name]

    def test_nothing_is_pickled(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refused(*args: object, **kwargs: object) -> None:
            raise AssertionError("a pickle")

        for module, name in ((pickle, "load"), (pickle, "loads"), (pickle, "dump"), (pickle, "dumps"), (torch, "load")):
            monkeypatch.setattr(module, name, refused)
        for name in ("Pickler", "Unpickler"):
            monkeypatch.setattr(pickle, name, refused)
        write_checkpoint(path, TREES)
        assert_same_tree(read_checkpoint(path), TREES)
        length = int.from_bytes(path.read_bytes()[:8], "little")  # a header of JSON, then the tensors' bytes
        header = json.loads(path.read_bytes()[8 : 8 + length])
        assert len(path.read_bytes()) == 8 + length + max(
            entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"
        )
