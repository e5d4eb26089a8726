"""Squashed Gaussian head of box spaces with finite bounds."""

from typing import Literal

from torch import Tensor

from pgexp.functional.distributions.distribution import Distribution
from pgexp.functional.distributions.squashed_gaussian import SquashedGaussian
from pgexp.functional.operations import tanh
from pgexp.functional.spaces import ActionSpace
from pgexp.networks.heads.gaussian_parameters import GaussianParameters
from pgexp.networks.heads.head import CompiledHead, Head
from pgexp.networks.heads.spaces import Box, require
from pgexp.networks.parameters import Parameters, Streams
from pgexp.schema.types import PositiveFloat


class SquashedGaussianHead(Head):
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

    @property
    def inputs(self) -> int:
        """D, or 2 D if sigma is the network's as well."""
        return self._parameters.inputs

    def initial(self, streams: Streams) -> Parameters:
        """Return log sigma, [D], if it is the head's own."""
        return self._parameters.initial(streams)

    def __call__(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Return [mean, log sigma] before squashing. x: [B, inputs]; the result: [B, 2 D]."""
        return self._parameters(parameters, x)

    def act(self, sample: Tensor) -> Tensor:
        """Return the action in the space's units, in float64. sample: before squashing, [B, D]."""
        return self._box.stretch(tanh(sample.double()))

    def compiled(self) -> CompiledHead:
        """Return the kernel, the settings of sigma and the box's limits."""
        from pgexp.kernels import sampling

        constants = (*self._parameters.constants, sampling.TANH, *self._box.limits)
        return CompiledHead(sampling.gaussian, constants, self._parameters.parameter)
