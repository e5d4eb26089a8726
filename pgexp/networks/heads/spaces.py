"""Heads by kind of action space, and boxes of real actions."""

import torch
from torch import Tensor

from pgexp.functional.spaces import ActionSpace

HEADS = {
    "discrete": ("categorical",),
    "multi_discrete": ("multi_categorical",),
    "multi_binary": ("bernoulli",),
    "box": ("gaussian", "squashed_gaussian", "beta"),
}


def require(space: ActionSpace, kind: str) -> None:
    """Raise ValueError if the space is of another kind, with the heads that act in it."""
    if space.kind != kind:
        fitting = " or ".join(f"head={name}" for name in HEADS[space.kind])
        raise ValueError(f"it acts in {kind} spaces, and this one is {space.kind}: set head=auto or {fitting}")


class Box:
    """The limits of a box of D components. Actions are computed in float64, so that rounding never leaves it."""

    def __init__(self, space: ActionSpace) -> None:
        self._low = torch.tensor(space.low, dtype=torch.float64)
        self._high = torch.tensor(space.high, dtype=torch.float64)

    @property
    def limits(self) -> list[float]:
        """The lower limits of all components, then the upper ones."""
        found: list[float] = torch.cat([self._low, self._high]).tolist()
        return found

    def require_finite(self, fix: str) -> None:
        """Raise ValueError if a component has no limit below or above."""
        for low, high in zip(self._low.tolist(), self._high.tolist(), strict=True):
            if not (abs(low) < float("inf") and abs(high) < float("inf")):
                raise ValueError(f"it maps into finite bounds, and a component has [{low:g}, {high:g}]: set {fix}")

    def clip(self, action: Tensor) -> Tensor:
        """Return the nearest action of the box. action: [..., D] in float64; so is the result."""
        return action.clamp(self._low, self._high)

    def stretch(self, unit: Tensor) -> Tensor:
        """Return the affine map of [-1, 1] to the bounds, clipped. unit: [..., D] in float64; so is the result."""
        return self.clip(0.5 * (1 - unit) * self._low + 0.5 * (1 + unit) * self._high)
