"""Gaussian head of box spaces; samples are mapped into the bounds outside of the policy."""

from typing import Literal

from torch import Tensor

from pgexp.functional.distributions.distribution import Distribution
from pgexp.functional.distributions.gaussian import Gaussian
from pgexp.functional.operations import tanh
from pgexp.functional.spaces import ActionSpace
from pgexp.networks.heads.gaussian_parameters import GaussianParameters
from pgexp.networks.heads.head import CompiledHead, Head
from pgexp.networks.heads.spaces import Box, require
from pgexp.networks.parameters import Parameters, Streams
from pgexp.schema.types import PositiveFloat


class GaussianHead(Head):
    """A normal distribution of each component, around the network's outputs.

    `std` selects the source of sigma (see GaussianParameters), `bounds` the map from a sample to an action. clip: the
    nearest action within the bounds. tanh: tanh(sample), scaled from [-1, 1] to the bounds. rescale: the sample, scaled
    from [-1, 1] to the bounds and clipped. none: the sample itself. The sample is stored and scored in each case.
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

    @property
    def inputs(self) -> int:
        """D, or 2 D if sigma is the network's as well."""
        return self._parameters.inputs

    def initial(self, streams: Streams) -> Parameters:
        """Return log sigma, [D], if it is the head's own."""
        return self._parameters.initial(streams)

    def __call__(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Return [mean, log sigma]. x: [B, inputs]; the result: [B, 2 D]."""
        return self._parameters(parameters, x)

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
        from pgexp.kernels import sampling

        kinds = {
            "clip": sampling.CLIP,
            "tanh": sampling.TANH,
            "rescale": sampling.RESCALE,
            "none": sampling.UNBOUNDED,
        }
        constants = (*self._parameters.constants, kinds[self._bounds], *self._box.limits)
        return CompiledHead(sampling.gaussian, constants, self._parameters.parameter)
