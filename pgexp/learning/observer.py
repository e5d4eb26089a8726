"""How a policy sees: observations in its precision, bytes as fractions, normalised by what its run has seen."""

from dataclasses import dataclass, replace
from typing import Final

import torch
from torch import Tensor

from pgexp.functional.batch import Batch
from pgexp.functional.moments import Moments
from pgexp.functional.normalization import normalized
from pgexp.networks.parameters import Parameters

MEAN: Final = "observations.mean"
SCALE: Final = "observations.scale"

_OF_A_BYTE = 1 / 255
_SMALLEST_VARIANCE = 1e-8  # what a component that never varied is divided by the root of


@dataclass(frozen=True)
class Observer:
    """Casts observations, pictures of bytes to fractions of 255, and normalises where it has a size to normalise.

    The means and scales stand among the policy's parameters, so they are stacked, saved and evaluated with it; no
    optimizer steps on them. They are frozen while a batch is collected and learnt from.
    """

    dtype: torch.dtype
    size: int | None  # O where observations are normalised
    limit: float | None  # normalised observations are cut to within it

    def initial(self) -> Parameters:
        """Return one run's first statistics, which leave everything as it is."""
        return {} if self.size is None else self._statistics(Moments.none(self.size))

    def statistics(self, moments: Moments) -> Parameters:
        """Return the statistics that stand for these moments."""
        return {} if self.size is None else self._statistics(moments)

    def see(self, parameters: Parameters, observations: Tensor) -> Tensor:
        """Return what the network is given. parameters: [R, ...], observations: [R, B, O]; the result: the same."""
        x = self.cast(observations)
        return x if self.size is None else normalized(x, parameters[MEAN], parameters[SCALE], self.limit)

    def cast(self, observations: Tensor) -> Tensor:
        """Return observations in the policy's precision, bytes as fractions of 255: what statistics are of."""
        x = observations.to(self.dtype)
        return x * _OF_A_BYTE if observations.dtype == torch.uint8 else x

    def seen(self, parameters: Parameters, batch: Batch) -> Batch:
        """Return one run's batch as its policy sees it. parameters: [1, ...]."""
        names = ("observations", "final")
        tensors = (torch.from_numpy(getattr(batch, name)).unsqueeze(0) for name in names)
        found = [self.see(parameters, tensor)[0].numpy() for tensor in tensors]
        return replace(batch, **dict(zip(names, found, strict=True)))

    def _statistics(self, moments: Moments) -> Parameters:
        mean = torch.from_numpy(moments.mean).to(self.dtype)
        # Before anything was seen the variance is 1, and the scale exactly 1.
        scale = torch.from_numpy(moments.variance).clamp(min=_SMALLEST_VARIANCE).rsqrt().to(self.dtype)
        return {MEAN: mean, SCALE: scale}


def trainable(parameters: Parameters) -> Parameters:
    """Return the parameters that an optimizer steps on: all but the observer's statistics."""
    return {name: tensor for name, tensor in parameters.items() if name not in (MEAN, SCALE)}
