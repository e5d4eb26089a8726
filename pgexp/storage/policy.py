"""A trained policy on disk: its tensors without pickle, and a description of what they are for."""

from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from pgexp.storage.files import read_json, replacing, write_json
from pgexp.storage.secrets import masked

TENSORS_FILE = "policy.safetensors"
DESCRIPTION_FILE = "policy.json"


def write_policy(folder: Path, tensors: dict[str, np.ndarray], description: dict[str, Any]) -> None:
    """Write a policy's tensors, by name, and its description: plain JSON (no NaN, no infinity), secrets masked."""
    with replacing(folder / TENSORS_FILE) as draft:
        draft.write_bytes(save({name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}))
        write_json(
            folder / DESCRIPTION_FILE, masked(description)
        )  # in here: where the disk is full, both stay the old ones


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
