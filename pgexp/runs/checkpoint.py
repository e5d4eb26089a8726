"""Checkpoint files: trees of numbers, texts and tensors, replaced atomically and read without pickle.

The format is safetensors: the tensors, and in the header the tree as JSON that refers to them by name. A digest of both
detects damage.
"""

import hashlib
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from pgexp.functional.trees import Tree
from pgexp.runs.files import replace_file

_FORMAT = "pgexp checkpoint 1"
_NONFINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}  # not in JSON


def write_checkpoint(path: Path, tree: Tree) -> None:
    """Write a tree. After a kill or a power failure the file is the old or the new one, never a part."""
    tensors: dict[str, np.ndarray] = {}
    text = json.dumps(_encode(tree, tensors), allow_nan=False)
    header = {"format": _FORMAT, "tree": text, "digest": _digest(text, tensors)}
    with replace_file(path) as draft:
        save_file(tensors, draft, header)
        with draft.open("rb") as file:
            os.fsync(file.fileno())


def read_checkpoint(path: Path) -> Tree:
    """Return the tree in a file. Raises ValueError with the file's name if it is missing, damaged or another format."""
    try:
        with safe_open(path, framework="numpy") as file:
            header = file.metadata() or {}
            if header.get("format") != _FORMAT:
                raise ValueError(f"{path}: not a checkpoint of this version of pgexp")
            tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
        if header.get("digest") != _digest(header["tree"], tensors):
            raise ValueError(f"{path}: damaged: the digest does not match the contents")
        return _decode(json.loads(header["tree"]), tensors)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or error}") from error
    except (SafetensorError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path}: damaged: {error}") from error


def _digest(text: str, tensors: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        array = tensors[name]
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _encode(tree: Tree, tensors: dict[str, np.ndarray]) -> Any:
    """Return a tree as JSON, and add its tensors to `tensors`. Types that JSON lacks become {kind: value}."""
    match tree:
        case torch.Tensor() | np.ndarray():
            name = str(len(tensors))
            kind, array = ("tensor", tree.numpy()) if isinstance(tree, torch.Tensor) else ("array", tree)
            tensors[name] = np.array(array, order="C")  # a copy, because an array may occur twice
            return {kind: name}
        case dict():
            return {"dict": [[key, _encode(item, tensors)] for key, item in tree.items()]}
        case tuple():
            return {"tuple": [_encode(item, tensors) for item in tree]}
        case list():
            return [_encode(item, tensors) for item in tree]
        case float() if not math.isfinite(tree):
            return {"float": str(tree)}
    return tree


def _decode(value: Any, tensors: Mapping[str, np.ndarray]) -> Tree:
    if isinstance(value, list):
        return [_decode(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    match kind:
        case "tensor":
            return torch.from_numpy(tensors[content].copy())
        case "array":
            return tensors[content]
        case "dict":
            return {key: _decode(item, tensors) for key, item in content}
        case "tuple":
            return tuple(_decode(item, tensors) for item in content)
        case "float":
            return _NONFINITE[content]
    raise KeyError(kind)
