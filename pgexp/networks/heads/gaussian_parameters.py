"""Mean and deviation of Gaussian heads."""

import math
from typing import Final, Literal

import torch
from torch import Tensor

from pgexp.networks.parameters import Parameters, Streams

LOG_STD: Final = "head.log_std"


class GaussianParameters:
    """The mean is D outputs of the network; log sigma is a parameter of the head, [D], or D further outputs.

    Outputs are added to the logarithm of `initial_std`, so that a network whose last layer starts near zero starts
    there. Sigma is kept within `min_std` and `max_std` by clamping its logarithm, with the gradient of the identity:
    the clamp's own gradient is zero beyond a bound, and a deviation that was pushed there could never return.
    """

    def __init__(
        self, size: int, std: Literal["parameter", "network"], initial_std: float, min_std: float, max_std: float
    ) -> None:
        if not min_std <= initial_std <= max_std:
            given = f"initial_std {initial_std:g} is outside of [{min_std:g}, {max_std:g}]"
            raise ValueError(f"{given}: set min_std <= initial_std <= max_std")
        self._size = size
        self._own = std == "parameter"
        self._initial = math.log(initial_std)
        self._bounds = (math.log(min_std), math.log(max_std))

    @property
    def inputs(self) -> int:
        """How many outputs of the network are read: D, or 2 D."""
        return self._size if self._own else 2 * self._size

    @property
    def parameter(self) -> str | None:
        """The name of the head's log sigma, if it has its own."""
        return LOG_STD if self._own else None

    @property
    def constants(self) -> tuple[float, ...]:
        """The first constants of the kernel `sampling.gaussian`."""
        return (float(self._own), self._initial, *self._bounds)

    def initial(self, streams: Streams) -> Parameters:
        """Return log sigma if it is the head's own: the logarithm of `initial_std` for each component."""
        return {LOG_STD: torch.full((self._size,), self._initial, dtype=torch.float64)} if self._own else {}

    def __call__(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Return [mean, log sigma]. x: [B, inputs]; the result: [B, 2 D]."""
        if self._own:
            return torch.cat([x, self._clamp(parameters[LOG_STD]).expand_as(x)], -1)
        mean, offset = x.chunk(2, -1)
        return torch.cat([mean, self._clamp(self._initial + offset)], -1)

    def _clamp(self, log_std: Tensor) -> Tensor:
        """Return log sigma within its bounds, with the gradient of the identity."""
        return log_std.detach().clamp(*self._bounds) + (log_std - log_std.detach())
