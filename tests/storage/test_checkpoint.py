"""A checkpoint reads back to the last bit, or is refused by name: no damage of it passes, and nothing in it is run."""

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

import pgexp.storage.checkpoint
from pgexp.storage.checkpoint import read_checkpoint, write_checkpoint
from tests.trees import assert_same_tree

SHARED = np.arange(4.0)
SMALL = {"steps": 3, "mean": math.nan, "weight": torch.tensor([1.5]), "taken": np.array([7], dtype=np.uint8)}

TREES: dict[str, Any] = {
    "none": None,
    "a number": 1.5,
    "numbers": [0.1, -0.0, 5e-324, 1.7976931348623157e308, 2**100, -1, True, False],
    "no numbers": [math.nan, math.inf, -math.inf],
    "texts": ["", "é \U0001f600", 'quotes " and \\', "nan", "\ud800"],
    "empty": [{}, [], (), {"a": {}}],
    "tuples": [(1, 2), [(3, [4, (5,)])], {"a": ()}],
    "keys": {0: "int", "0": "text", -1: {"": 1}},
    "names like those of the format": {"tensor": "0", "array": "0", "dict": [], "tuple": [], "float": "nan"},
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
    """Hold that a file of this content is refused by its name."""
    path.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(str(path))):
        read_checkpoint(path)


@pytest.mark.parametrize("tree", TREES.values(), ids=TREES.keys())
def test_a_tree_reads_back_as_it_was(path: Path, tree: Any) -> None:
    write_checkpoint(path, tree)
    assert_same_tree(read_checkpoint(path), tree)


@pytest.mark.slow
@settings(max_examples=60, deadline=None, derandomize=True)
@given(tree=trees)
def test_any_tree_reads_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, tree: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "any.safetensors"
    write_checkpoint(path, tree)
    assert_same_tree(read_checkpoint(path), tree)


def test_what_is_read_is_free_to_be_changed(path: Path) -> None:
    write_checkpoint(path, TREES["shared"])
    found = read_checkpoint(path)
    found["a"] += 1
    found["d"] += 1
    assert_same_tree(found["b"], np.arange(4.0))


class TestDamage:
    def test_no_change_of_a_byte_passes(self, path: Path) -> None:
        write_checkpoint(path, SMALL)
        sound = path.read_bytes()
        for position in range(len(sound)):
            for flipped in (0x01, 0x80, 0xFF):
                content = bytearray(sound)
                content[position] ^= flipped
                assert_refused(path, bytes(content))

    def test_no_change_of_a_byte_of_many_tensors_passes(self, path: Path) -> None:
        write_checkpoint(path, TREES)
        sound = path.read_bytes()
        for position in np.random.default_rng(0).choice(len(sound), 400, replace=False).tolist():
            content = bytearray(sound)
            content[position] ^= 1 << position % 8
            assert_refused(path, bytes(content))

    def test_no_truncation_passes(self, path: Path) -> None:
        write_checkpoint(path, SMALL)
        sound = path.read_bytes()
        for length in range(len(sound)):
            assert_refused(path, sound[:length])

    @pytest.mark.parametrize("more", [b"\0", b"\n", b" " * 100])
    def test_nothing_may_follow(self, path: Path, more: bytes) -> None:
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
    def test_other_tensors_beneath_the_same_tree_are_told(self, path: Path, others: dict[str, np.ndarray]) -> None:
        write_checkpoint(path, [np.zeros(2), np.ones(2)])
        with safe_open(path, framework="numpy") as file:
            about = file.metadata()
        save_file(others, path, about)
        with pytest.raises(ValueError, match="damaged: its contents do not fit their digest"):
            read_checkpoint(path)

    @pytest.mark.parametrize("part", ["tree", "digest"])
    def test_a_part_that_is_missing_is_told(self, path: Path, part: str) -> None:
        write_checkpoint(path, 1)
        with safe_open(path, framework="numpy") as file:
            about = file.metadata()
        del about[part]
        save_file({}, path, about)
        with pytest.raises(ValueError, match=r"last\.safetensors: damaged"):
            read_checkpoint(path)


class TestOtherFiles:
    @pytest.mark.parametrize(
        "about", [None, {}, {"format": "pt"}, {"format": "pgexp checkpoint 2", "tree": "1"}], ids=repr
    )
    def test_another_file_of_safetensors(self, tmp_path: Path, about: dict[str, str] | None) -> None:
        path = tmp_path / "model.safetensors"
        save_file({"weight": np.zeros(2)}, path, about)
        with pytest.raises(ValueError, match=r"model\.safetensors: no checkpoint of this version of pgexp"):
            read_checkpoint(path)

    @pytest.mark.parametrize("content", [b"", b"\0" * 8, b"\xff" * 100, b"{}", pickle.dumps({"steps": 3})], ids=repr)
    def test_a_file_of_something_else(self, tmp_path: Path, content: bytes) -> None:
        assert_refused(tmp_path / "file", content)

    def test_a_file_that_is_missing(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"last\.safetensors: .*[Nn]o such file"):
            read_checkpoint(tmp_path / "last.safetensors")

    def test_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=re.escape(str(tmp_path))):
            read_checkpoint(tmp_path)


class TestWriting:
    @pytest.fixture
    def kept(self, path: Path) -> Path:
        write_checkpoint(path, SMALL)
        return path

    def assert_is_kept(self, path: Path) -> None:
        assert_same_tree(read_checkpoint(path), SMALL)
        assert [file.name for file in path.parent.iterdir()] == [path.name]

    def test_a_write_that_fails_leaves_the_old_file(self, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def half(tensors: object, draft: Path, about: object) -> None:
            draft.write_bytes(b"half")
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(pgexp.storage.checkpoint, "save_file", half)
        with pytest.raises(OSError, match="No space left"):
            write_checkpoint(kept, {"steps": 4})
        self.assert_is_kept(kept)

    def test_a_write_that_is_interrupted_before_it_lasts_leaves_the_old_file(
        self, kept: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupted(descriptor: int) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(pgexp.storage.checkpoint.os, "fsync", interrupted)
        with pytest.raises(KeyboardInterrupt):
            write_checkpoint(kept, {"steps": 4})
        self.assert_is_kept(kept)

    @pytest.mark.parametrize("value", [{1, 2}, b"bytes", object()], ids=lambda value: type(value).__name__)
    def test_what_is_no_tree_leaves_the_old_file(self, kept: Path, value: Any) -> None:
        with pytest.raises(TypeError):
            write_checkpoint(kept, {"a": [value]})
        self.assert_is_kept(kept)

    def test_a_new_one_takes_its_place_and_leaves_nothing_else(self, kept: Path) -> None:
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
