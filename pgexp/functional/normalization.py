"""Normalised observations."""

import torch
from torch import Tensor


def normalized(x: Tensor, mean: Tensor, scale: Tensor, limit: float | None) -> Tensor:
    """Return ``(x - mean) * scale``, cut to within the limit. x: [R, B, O], mean, scale: [R, O]; the result: [R, B, O].

    Elementwise products and differences alone: a step has the same bits when it is acted on and when it is learnt from.
    """
    assert x.ndim == 3, x.shape
    found = (x - mean.unsqueeze(1)) * scale.unsqueeze(1)
    return found if limit is None else torch.clamp(found, -limit, limit)
