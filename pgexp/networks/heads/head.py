"""Interface of policy heads."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pgexp.functional.distributions import Distribution
from pgexp.functional.spaces import ActionSpace
from pgexp.networks.network import Parameters, Streams


class CompiledHead(NamedTuple):
    """A head's sampling for compiled acting."""

    sample: Any  # a kernel with the signature kernels.signatures.sample
    constants: Sequence[float] = ()  # numbers that it reads
    parameter: str | None = None  # the name of the head's own parameter that it reads


class Head(ABC):
    """A map from a network's outputs to a distribution over actions. It owns no tensor.

    A constructor takes `space`, an ActionSpace that pgexp passes, and the configured arguments. It raises ValueError if
    it cannot act in that space.
    """

    @property
    @abstractmethod
    def distribution(self) -> Distribution:
        """The family of distributions."""

    @property
    @abstractmethod
    def inputs(self) -> int:
        """The number of the network's outputs that it reads."""

    @abstractmethod
    def initial(self, streams: Streams) -> Parameters:
        """Return the head's own parameters in float64, with names that begin with ``head.``; often {}."""

    @abstractmethod
    def __call__(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Return the distributions' parameters. x: [B, inputs]; the result: [B, P]."""

    @abstractmethod
    def act(self, sample: Tensor) -> Tensor:
        """Return the environment's action for each sample, [B] or [B, D]: counted from 0, or in the box's units.

        Log-probabilities are of the sample; this map is not part of the policy.
        """

    def compiled(self) -> CompiledHead | None:
        """Return the head's sampling as a kernel, or None if it acts in torch."""
        return None


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
        raise ValueError(f"the head acts in {kind} spaces (got {space.kind}): set head=auto or {fitting}")


class Box:
    """The limits of a box of D components. Actions are computed in float64, so that rounding does not leave it."""

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
                raise ValueError(f"the head needs finite bounds (got [{low:g}, {high:g}]): set {fix}")

    def clip(self, action: Tensor) -> Tensor:
        """Return the nearest action of the box. action: [..., D] in float64; so is the result."""
        return action.clamp(self._low, self._high)

    def stretch(self, unit: Tensor) -> Tensor:
        """Return the affine map of [-1, 1] to the bounds, clipped. unit: [..., D] in float64; so is the result."""
        return self.clip(0.5 * (1 - unit) * self._low + 0.5 * (1 + unit) * self._high)
