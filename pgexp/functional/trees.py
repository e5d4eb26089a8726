"""What state is made of: numbers, texts, arrays and tensors, nested in mappings and lists."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

Tree = Any
"""None, a bool, an int, a float, a text, an array, a tensor; or a dict (by text or int), list or tuple of these."""

Value = TypeVar("Value")

_PLAIN = (bool, int, float, str, type(None))


def captured(value: Any) -> Tree:
    """Return a copy of a value as a tree; a dataclass, and an optimizer's state, become dicts.

    Raises TypeError where there is something in it that a tree can't hold.
    """
    match value:
        case Tensor():
            return value.detach().clone()
        case np.ndarray() if value.dtype.kind in "biuf":
            return value.copy()
        case np.generic() if value.dtype.kind in "biuf":
            return value.item()
        case torch.optim.Optimizer():
            return _of_optimizer(value)
        case Mapping() if all(isinstance(key, str | int) for key in value):
            return {key: captured(item) for key, item in value.items()}
        case list():
            return [captured(item) for item in value]
        case tuple():
            return tuple(captured(item) for item in value)
        case _ if is_dataclass(value) and not isinstance(value, type):
            return {field.name: captured(getattr(value, field.name)) for field in fields(value)}
        case _ if isinstance(value, _PLAIN):
            return value
    raise TypeError(f"{type(value).__name__} is no number, text, array, tensor or optimizer, nor made of these")


def restored(value: Value, tree: Tree) -> Value:
    """Return what a value was when the tree was captured of it: tensors and optimizers themselves, set back in place.

    Raises ValueError where the tree is not of such a value.
    """
    match value:
        case Tensor():
            if not isinstance(tree, Tensor) or (tree.shape, tree.dtype) != (value.shape, value.dtype):
                raise ValueError(f"{_told(tree)} in place of {_told(value)}")
            value.detach().copy_(tree)
            return value
        case torch.optim.Optimizer():
            _restore_optimizer(value, tree)
            return value
        case dict() if value and any(isinstance(item, Tensor) for item in value.values()):
            _require_keys(tree, value)
            return type(value)({key: restored(item, tree[key]) for key, item in value.items()})
        case _ if is_dataclass(value) and not isinstance(value, type):
            _require_keys(tree, {field.name: None for field in fields(value)})
            return type(value)(**{name: restored(getattr(value, name), item) for name, item in tree.items()})
    copy: Value = captured(tree)
    return copy


def _of_optimizer(optimizer: torch.optim.Optimizer) -> Tree:
    """Return its state, parameter after parameter, and its groups' settings, without the parameters themselves."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    groups = [{key: item for key, item in group.items() if key != "params"} for group in optimizer.param_groups]
    return {
        "state": [captured(optimizer.state.get(parameter, {})) for parameter in parameters],
        "groups": captured(groups),
    }


def _restore_optimizer(optimizer: torch.optim.Optimizer, tree: Tree) -> None:
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    _require_keys(tree, {"state": None, "groups": None})
    if (len(tree["state"]), len(tree["groups"])) != (len(parameters), len(optimizer.param_groups)):
        raise ValueError(f"the state of an optimizer of {len(tree['state'])} tensors in place of {len(parameters)}")
    for parameter, state in zip(parameters, tree["state"], strict=True):
        optimizer.state[parameter] = captured(state)  # not by load_state_dict, which casts it to the parameter's dtype
    for group, settings in zip(optimizer.param_groups, tree["groups"], strict=True):
        _require_keys({"params": None, **settings}, group)
        group.update(captured(settings))


def _require_keys(tree: Tree, wanted: Mapping[Any, Any]) -> None:
    if not isinstance(tree, dict) or tree.keys() != wanted.keys():
        raise ValueError(f"{_told(tree)} in place of {_told(wanted)}")


def _told(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a tensor {list(value.shape)} of {value.dtype}"
    return f"keys {', '.join(map(str, value))}" if isinstance(value, Mapping) else type(value).__name__
