"""Normalisation of observations."""

import torch
from torch import Tensor


def normalized(x: Tensor, mean: Tensor, scale: Tensor, limit: float | None) -> Tensor:
    """Return ``(x - mean) * scale``, clipped to +-limit. x: [B, O], mean, scale: [O]; the result: [B, O].

    Only elementwise differences and products: a compiled policy computes the same bits when it acts.
    """
    assert x.ndim == 2, x.shape
    found = (x - mean) * scale
    return found if limit is None else torch.clamp(found, -limit, limit)
