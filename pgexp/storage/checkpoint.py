"""Checkpoints: trees of numbers, texts and tensors in one file, replaced as a whole, and read without unpickling.

The file is one of safetensors: its tensors, and in its header the tree as JSON, in which they are named. A digest over
both tells a damaged file.
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
from pgexp.storage.files import replacing

_FORMAT = "pgexp checkpoint 1"
_NAMED = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}  # JSON has no such numbers


def write_checkpoint(path: Path, tree: Tree) -> None:
    """Write a tree; at any moment, and after a power failure, the file is the old one or the new one."""
    tensors: dict[str, np.ndarray] = {}
    text = json.dumps(_encoded(tree, tensors), allow_nan=False)
    about = {"format": _FORMAT, "tree": text, "digest": _digest(text, tensors)}
    with replacing(path) as draft:
        save_file(tensors, draft, about)
        with draft.open("rb") as file:
            os.fsync(file.fileno())


def read_checkpoint(path: Path) -> Tree:
    """Return the tree in a file; a ValueError names the file that is missing, damaged or something else."""
    try:
        with safe_open(path, framework="numpy") as file:
            about = file.metadata() or {}
            if about.get("format") != _FORMAT:
                raise ValueError(f"{path}: no checkpoint of this version of pgexp")
            tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
        if about.get("digest") != _digest(about["tree"], tensors):
            raise ValueError(f"{path}: damaged: its contents do not fit their digest")
        return _decoded(json.loads(about["tree"]), tensors)
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


def _encoded(tree: Tree, tensors: dict[str, np.ndarray]) -> Any:
    """Return a tree as JSON has it, and put its tensors among the others. What JSON lacks becomes {kind: value}."""
    match tree:
        case torch.Tensor() | np.ndarray():
            name = str(len(tensors))
            kind, array = ("tensor", tree.numpy()) if isinstance(tree, torch.Tensor) else ("array", tree)
            tensors[name] = np.array(array, order="C")  # a copy: one array may stand at two places
            return {kind: name}
        case dict():
            return {"dict": [[key, _encoded(item, tensors)] for key, item in tree.items()]}
        case tuple():
            return {"tuple": [_encoded(item, tensors) for item in tree]}
        case list():
            return [_encoded(item, tensors) for item in tree]
        case float() if not math.isfinite(tree):
            return {"float": str(tree)}
    return tree


def _decoded(value: Any, tensors: Mapping[str, np.ndarray]) -> Tree:
    if isinstance(value, list):
        return [_decoded(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, held),) = value.items()
    match kind:
        case "tensor":
            return torch.from_numpy(tensors[held].copy())
        case "array":
            return tensors[held]
        case "dict":
            return {key: _decoded(item, tensors) for key, item in held}
        case "tuple":
            return tuple(_decoded(item, tensors) for item in held)
        case "float":
            return _NAMED[held]
    raise KeyError(kind)
