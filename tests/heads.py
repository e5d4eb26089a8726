"""Heads as configured in conf/head, action spaces, and network outputs."""

from importlib import import_module
from typing import Any

import torch
import yaml
from torch import Tensor

from pgexp.functional.spaces import ActionSpace
from pgexp.networks.heads.head import Head
from pgexp.networks.network import Parameters, cast, streams
from tests.conftest import CONF

ROWS = 5
INFINITE = float("inf")
FILES = {path.stem: path for path in sorted((CONF / "head").glob("*.yaml"))}


def box(*limits: tuple[float, float]) -> ActionSpace:
    """Return the box with these (low, high) per component."""
    return ActionSpace("box", len(limits), low=tuple(low for low, _ in limits), high=tuple(high for _, high in limits))


SPACES = {
    "discrete": ActionSpace("discrete", 1, counts=(4,)),
    "multi_discrete": ActionSpace("multi_discrete", 2, counts=(2, 3)),
    "multi_binary": ActionSpace("multi_binary", 3),
    "box": box((-2.0, 2.0), (0.0, 10.0)),
}
KINDS = {
    "categorical": "discrete",
    "multi_categorical": "multi_discrete",
    "bernoulli": "multi_binary",
    "gaussian": "box",
    "squashed_gaussian": "box",
    "beta": "box",
}


def read(name: str) -> dict[str, Any]:
    """Return the keys of a head's YAML file."""
    keys: dict[str, Any] = yaml.safe_load(FILES[name].read_text())
    return keys


def shipped(name: str, space: ActionSpace, **changed: Any) -> Head:
    """Return the head of a YAML file, except for the keys in `changed`."""
    keys = read(name) | changed
    module, _, class_name = keys.pop("_target_").rpartition(".")
    head: Head = getattr(import_module(module), class_name)(space, **keys)
    return head


def parameters_of(head: Head, dtype: torch.dtype = torch.float64) -> Parameters:
    """Return the head's initial parameters."""
    return cast(head.initial(streams(0, "init")), dtype)


def outputs(size: int) -> Tensor:
    """Return normal numbers [ROWS, size] as a network's outputs."""
    return torch.randn(ROWS, size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
