"""Steps of torch's optimizers whose results do not depend on the processor's vendor.

torch hands square roots to MKL, whose last bits differ between vendors. Fused optimizers compute theirs themselves; the
others take their step with NumPy's square root, which is correctly rounded.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode


def step(optimizer: torch.optim.Optimizer) -> None:
    """Take a step along the gradients that the parameters hold."""
    if all(group.get("fused") for group in optimizer.param_groups):
        optimizer.step()
        return
    with _PortableRoots():
        optimizer.step()


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
