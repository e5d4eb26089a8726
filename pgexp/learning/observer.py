"""Observations as the policy sees them: cast, scaled from bytes, and normalised by the run's statistics."""

from dataclasses import dataclass, replace
from typing import Final

import torch
from torch import Tensor

from pgexp.functional.batch import Batch
from pgexp.functional.moments import Moments
from pgexp.functional.normalization import normalized
from pgexp.kernels.layout import Layer
from pgexp.networks.parameters import Parameters

MEAN: Final = "observations.mean"
SCALE: Final = "observations.scale"

_BYTE_SCALE = 1 / 255
_SMALLEST_VARIANCE = 1e-8  # lower bound of a component's variance, for one that never varied


@dataclass(frozen=True)
class Observer:
    """Casts observations, scales bytes of pictures to [0, 1], and normalises if it has a size to normalise.

    The means and scales belong to the policy's parameters, so they are saved and evaluated with it; no optimizer
    changes them. They are constant while a batch is collected and learnt from.
    """

    dtype: torch.dtype
    size: int | None  # O if observations are normalised
    limit: float | None  # normalised observations are clipped to +-limit

    def initial(self) -> Parameters:
        """Return the initial statistics, which change nothing."""
        return {} if self.size is None else self._statistics(Moments.none(self.size))

    def statistics(self, moments: Moments) -> Parameters:
        """Return the statistics of these moments."""
        return {} if self.size is None else self._statistics(moments)

    def see(self, parameters: Parameters, observations: Tensor) -> Tensor:
        """Return the network's input. observations: [B, O]; the result: the same."""
        x = self.cast(observations)
        return x if self.size is None else normalized(x, parameters[MEAN], parameters[SCALE], self.limit)

    def cast(self, observations: Tensor) -> Tensor:
        """Return observations in the policy's precision, bytes divided by 255, before normalisation."""
        x = observations.to(self.dtype)
        return x * _BYTE_SCALE if observations.dtype == torch.uint8 else x

    def seen(self, parameters: Parameters, batch: Batch) -> Batch:
        """Return the batch with the network's inputs for observations."""
        seen, final = (self.see(parameters, torch.from_numpy(x)).numpy() for x in (batch.observations, batch.final))
        return replace(batch, observations=seen, final=final)

    def layers(self) -> list[Layer]:
        """Return the normalisation as a compiled layer, if there is one."""
        if self.size is None:
            return []
        limit = float("inf") if self.limit is None else self.limit
        return [Layer("normalize", self.size, self.size, MEAN, SCALE, limit=limit)]

    def _statistics(self, moments: Moments) -> Parameters:
        mean = torch.from_numpy(moments.mean).to(self.dtype)
        # Before the first batch the variance is 1, and the scale exactly 1.
        scale = torch.from_numpy(moments.variance).clamp(min=_SMALLEST_VARIANCE).rsqrt().to(self.dtype)
        return {MEAN: mean, SCALE: scale}


def trainable(parameters: Parameters) -> Parameters:
    """Return the parameters that an optimizer changes: all but the observer's statistics."""
    return {name: tensor for name, tensor in parameters.items() if name not in (MEAN, SCALE)}
