"""State as trees: numbers, strings, arrays and tensors, nested in mappings and lists."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

Tree = Any
"""None, bool, int, float, str, array or tensor; or a dict (with keys str or int), list or tuple of these."""

Value = TypeVar("Value")

_PLAIN = (bool, int, float, str, type(None))


def to_tree(value: Any) -> Tree:
    """Return a copy of a value as a tree. Dataclasses and optimizers become dicts.

    Raises TypeError if the value contains anything else.
    """
    match value:
        case Tensor():
            return value.detach().clone()
        case np.ndarray() if value.dtype.kind in "biuf":
            return value.copy()
        case np.generic() if value.dtype.kind in "biuf":
            return value.item()
        case torch.optim.Optimizer():
            return _optimizer_tree(value)
        case Mapping() if all(isinstance(key, str | int) for key in value):
            return {key: to_tree(item) for key, item in value.items()}
        case list():
            return [to_tree(item) for item in value]
        case tuple():
            return tuple(to_tree(item) for item in value)
        case _ if is_dataclass(value) and not isinstance(value, type):
            return {field.name: to_tree(getattr(value, field.name)) for field in fields(value)}
        case _ if isinstance(value, _PLAIN):
            return value
    raise TypeError(f"must consist of numbers, strings, arrays, tensors and optimizers (got {type(value).__name__})")


def from_tree(value: Value, tree: Tree) -> Value:
    """Return the value that a tree was to_tree from. Tensors and optimizers are changed in place.

    value: of the same structure, such as its initial value. Raises ValueError if the structures differ.
    """
    match value:
        case Tensor():
            if not isinstance(tree, Tensor) or (tree.shape, tree.dtype) != (value.shape, value.dtype):
                raise ValueError(f"must be {_description(value)} (got {_description(tree)})")
            value.detach().copy_(tree)
            return value
        case torch.optim.Optimizer():
            _restore_optimizer(value, tree)
            return value
        case dict() if value and any(isinstance(item, Tensor) for item in value.values()):
            _require_keys(tree, value)
            return type(value)({key: from_tree(item, tree[key]) for key, item in value.items()})
        case _ if is_dataclass(value) and not isinstance(value, type):
            _require_keys(tree, {field.name: None for field in fields(value)})
            return type(value)(**{name: from_tree(getattr(value, name), item) for name, item in tree.items()})
    copy: Value = to_tree(tree)
    return copy


def _optimizer_tree(optimizer: torch.optim.Optimizer) -> Tree:
    """Return the state of each parameter and the settings of each group."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    groups = [{key: item for key, item in group.items() if key != "params"} for group in optimizer.param_groups]
    return {
        "state": [to_tree(optimizer.state.get(parameter, {})) for parameter in parameters],
        "groups": to_tree(groups),
    }


def _restore_optimizer(optimizer: torch.optim.Optimizer, tree: Tree) -> None:
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    _require_keys(tree, {"state": None, "groups": None})
    if (len(tree["state"]), len(tree["groups"])) != (len(parameters), len(optimizer.param_groups)):
        raise ValueError(f"must be the state of an optimizer of {len(parameters)} tensors (got {len(tree['state'])})")
    for parameter, state in zip(parameters, tree["state"], strict=True):
        optimizer.state[parameter] = to_tree(state)  # load_state_dict would cast it to the parameter's dtype
    for group, settings in zip(optimizer.param_groups, tree["groups"], strict=True):
        _require_keys({"params": None, **settings}, group)
        group.update(to_tree(settings))


def _require_keys(tree: Tree, expected: Mapping[Any, Any]) -> None:
    if not isinstance(tree, dict) or tree.keys() != expected.keys():
        raise ValueError(f"must have {_description(expected)} (got {_description(tree)})")


def _description(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a tensor {list(value.shape)} of {value.dtype}"
    return f"keys {', '.join(map(str, value))}" if isinstance(value, Mapping) else type(value).__name__
