"""Steps of torch's optimizers whose results do not depend on the processor's vendor.

torch hands square roots to MKL, whose last bits differ between vendors. Fused optimizers compute theirs themselves; the
others take their step with NumPy's square root, which is correctly rounded.
"""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode


def spare_dynamo() -> None:
    """Keep torch's optimizers from importing torch.compile's front end, which takes more than a second of each process.

    They import it to mark four methods as not to be compiled, by an attribute; this sets the attribute beforehand. An
    optimizer that is not fused imports it all the same.
    """
    for name in ("add_param_group", "zero_grad", "state_dict", "load_state_dict"):
        function = getattr(getattr(torch.optim.Optimizer, name), "__wrapped__", None)
        if function is not None and not hasattr(function, "__dynamo_disable"):
            setattr(function, "__dynamo_disable", function)


def step(optimizer: torch.optim.Optimizer) -> None:
    """Take a step along the gradients that the parameters hold."""
    take = type(optimizer).step
    if type(optimizer).__module__.startswith("torch.optim."):
        take = inspect.unwrap(take)  # torch's wrappers import torch.compile's front end and call the profiler
    with torch.set_grad_enabled(optimizer.defaults.get("differentiable", False)):
        if all(group.get("fused") for group in optimizer.param_groups):
            take(optimizer)
            return
        with _PortableRoots():
            take(optimizer)


class _PortableRoots(TorchDispatchMode):
    """Replaces torch's square roots within its block."""

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        aten = torch.ops.aten
        if func is aten.sqrt.default:
            return _root(args[0])
        if func is aten.sqrt_.default:
            return args[0].copy_(_root(args[0]))
        if func is aten._foreach_sqrt.default:
            return [_root(x) for x in args[0]]
        if func is aten._foreach_sqrt_.default:
            for x in args[0]:
                x.copy_(_root(x))
            return None
        return func(*args, **(kwargs or {}))


def _root(x: Tensor) -> Tensor:
    return torch.from_numpy(np.sqrt(x.detach().numpy(), out=np.empty(tuple(x.shape), x.numpy().dtype)))
