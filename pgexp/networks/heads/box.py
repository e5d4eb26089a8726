"""Heads of box action spaces: Gaussian, squashed Gaussian and beta."""

import math
from typing import Final, Literal

import torch
from torch import Tensor

from pgexp.functional.distributions import Beta, Distribution, Gaussian, SquashedGaussian
from pgexp.functional.operations import softplus, tanh
from pgexp.functional.spaces import ActionSpace
from pgexp.kernels import sampling
from pgexp.networks.heads.head import Box, CompiledHead, Head, require
from pgexp.networks.network import Parameters, Streams
from pgexp.schema.types import PositiveFloat

LOG_STD: Final = "head.log_std"


class GaussianParameters:
    """The mean is D outputs of the network; log sigma is a parameter of the head, [D], or D further outputs.

    Outputs are added to the logarithm of `initial_std`, the initial sigma of a network whose last layer starts near
    zero. Sigma is kept within `min_std` and `max_std` by clamping its logarithm, with the gradient of the identity: the
    clamp's gradient is zero outside the bounds, so that sigma could never return.
    """

    def __init__(
        self, size: int, std: Literal["parameter", "network"], initial_std: float, min_std: float, max_std: float
    ) -> None:
        if not min_std <= initial_std <= max_std:
            raise ValueError(f"initial_std must be within [{min_std:g}, {max_std:g}] (got {initial_std:g})")
        self._size = size
        self._own = std == "parameter"
        self._initial = math.log(initial_std)
        self._bounds = (math.log(min_std), math.log(max_std))

    @property
    def inputs(self) -> int:
        """The number of the network's outputs that are read: D, or 2 D."""
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


class _NormalHead(Head):
    """Base of heads with the parameters of a normal distribution."""

    _parameters: GaussianParameters

    @property
    def inputs(self) -> int:
        """D, or 2 D if the network outputs sigma too."""
        return self._parameters.inputs

    def initial(self, streams: Streams) -> Parameters:
        """Return log sigma, [D], if it is the head's own."""
        return self._parameters.initial(streams)

    def __call__(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Return [mean, log sigma], before squashing if any. x: [B, inputs]; the result: [B, 2 D]."""
        return self._parameters(parameters, x)


class GaussianHead(_NormalHead):
    """A normal distribution of each component, around the network's outputs.

    `std` selects the source of sigma (see GaussianParameters), `bounds` the map from a sample to an action. clip: the
    nearest action within the bounds. tanh: tanh(sample), scaled from [-1, 1] to the bounds. rescale: the sample, scaled
    from [-1, 1] to the bounds and clipped. none: the sample itself. Log-probabilities are of the sample in each case.
    """

    def __init__(
        self,
        space: ActionSpace,
        std: Literal["parameter", "network"],
        initial_std: PositiveFloat,
        min_std: PositiveFloat,
        max_std: PositiveFloat,
        bounds: Literal["clip", "tanh", "rescale", "none"],
    ) -> None:
        require(space, "box")
        self._parameters = GaussianParameters(space.size, std, initial_std, min_std, max_std)
        self._distribution = Gaussian(space.size)
        self._box = Box(space)
        self._bounds = bounds
        if bounds in ("tanh", "rescale"):
            self._box.require_finite("head=gaussian head.bounds=clip")

    @property
    def distribution(self) -> Distribution:
        """The diagonal Gaussian."""
        return self._distribution

    def act(self, sample: Tensor) -> Tensor:
        """Return the action in the space's units, in float64. sample: [B, D]."""
        action = sample.double()
        match self._bounds:
            case "clip":
                return self._box.clip(action)
            case "tanh":
                return self._box.stretch(tanh(action))
            case "rescale":
                return self._box.stretch(action)
        return action

    def compiled(self) -> CompiledHead:
        """Return the kernel, the settings of sigma, the kind of bounds and the box's limits."""
        kinds = {
            "clip": sampling.CLIP,
            "tanh": sampling.TANH,
            "rescale": sampling.RESCALE,
            "none": sampling.UNBOUNDED,
        }
        constants = (*self._parameters.constants, kinds[self._bounds], *self._box.limits)
        return CompiledHead(sampling.gaussian, constants, self._parameters.parameter)


class SquashedGaussianHead(_NormalHead):
    """The tanh of a normal distribution of each component, scaled to the bounds.

    It acts as GaussianHead with ``bounds: tanh``; log-probabilities and entropies are those of the squashed action, in
    units in which the bounds are -1 and 1. `std` selects the source of sigma (see GaussianParameters).
    """

    def __init__(
        self,
        space: ActionSpace,
        std: Literal["parameter", "network"],
        initial_std: PositiveFloat,
        min_std: PositiveFloat,
        max_std: PositiveFloat,
    ) -> None:
        require(space, "box")
        self._parameters = GaussianParameters(space.size, std, initial_std, min_std, max_std)
        self._distribution = SquashedGaussian(space.size)
        self._box = Box(space)
        self._box.require_finite("head=gaussian head.bounds=clip")

    @property
    def distribution(self) -> Distribution:
        """The squashed Gaussian."""
        return self._distribution

    def act(self, sample: Tensor) -> Tensor:
        """Return the action in the space's units, in float64. sample: before squashing, [B, D]."""
        return self._box.stretch(tanh(sample.double()))

    def compiled(self) -> CompiledHead:
        """Return the kernel, the settings of sigma and the box's limits."""
        constants = (*self._parameters.constants, sampling.TANH, *self._box.limits)
        return CompiledHead(sampling.gaussian, constants, self._parameters.parameter)


class BetaHead(Head):
    """A beta distribution of each component over its bounds, alpha and beta 1 + softplus(output) (Chou et al. 2017).

    All probability lies within the bounds, so nothing is clipped. Log-probabilities and entropies are in units in which
    the bounds are 0 and 1.
    """

    def __init__(self, space: ActionSpace) -> None:
        require(space, "box")
        self._distribution = Beta(space.size)
        self._box = Box(space)
        self._box.require_finite("head=gaussian head.bounds=clip")

    @property
    def distribution(self) -> Distribution:
        """The beta distribution."""
        return self._distribution

    @property
    def inputs(self) -> int:
        """2 D, one for each alpha, then one for each beta."""
        return self._distribution.num_parameters

    def initial(self, streams: Streams) -> Parameters:
        """Return {}."""
        return {}

    def __call__(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Return [alpha, beta], none below 1. x: [B, 2 D]; the result: [B, 2 D]."""
        return 1 + softplus(x)

    def act(self, sample: Tensor) -> Tensor:
        """Return the action in the space's units, in float64. sample: [B, D], between 0 and 1."""
        return self._box.stretch(2 * sample.double() - 1)
