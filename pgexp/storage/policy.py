"""A trained policy on disk: its tensors without pickle, and a description of what they are for."""

from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from pgexp.storage.files import read_json, replacing, write_json

TENSORS_FILE = "policy.safetensors"
DESCRIPTION_FILE = "policy.json"


def write_policy(folder: Path, tensors: dict[str, np.ndarray], description: dict[str, Any]) -> None:
    """Write a policy's tensors, by name, and its description, which is plain JSON (no NaN, no infinity)."""
    write_json(folder / DESCRIPTION_FILE, description)
    with replacing(folder / TENSORS_FILE) as draft:
        save_file({name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}, draft)


def read_policy(folder: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return a policy's tensors and description; a ValueError names the file that is missing or damaged."""
    return _read_tensors(folder / TENSORS_FILE), read_json(folder / DESCRIPTION_FILE)


def _read_tensors(path: Path) -> dict[str, np.ndarray]:
    try:
        tensors: dict[str, np.ndarray] = load_file(path)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or error}") from error
    except SafetensorError as error:
        raise ValueError(f"{path}: damaged: {error}") from error
    return tensors
