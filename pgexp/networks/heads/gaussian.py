"""The Gaussian head of box spaces, whose samples are brought into the bounds outside of the policy."""

from typing import Literal

import torch
from torch import Tensor

from pgexp.functional.distributions.distribution import Distribution
from pgexp.functional.distributions.gaussian import Gaussian
from pgexp.functional.spaces import ActionSpace
from pgexp.networks.heads.gaussian_parameters import GaussianParameters
from pgexp.networks.heads.head import Head
from pgexp.networks.heads.spaces import Box, require
from pgexp.networks.parameters import Parameters, Streams
from pgexp.schema.types import PositiveFloat


class GaussianHead(Head):
    """A normal distribution of each component, around the network's outputs.

    `std` says where sigma comes from (see GaussianParameters), `bounds` how a sample becomes an action. clip: the
    nearest within the bounds. tanh: the bounds are stretched over tanh(sample). rescale: over the sample's [-1, 1], and
    what is beyond is clipped. none: the sample itself. Whichever it is, the sample is what is stored and scored.
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
        """D, or 2 D where sigma is the network's, too."""
        return self._parameters.inputs

    def initial(self, streams: Streams) -> Parameters:
        """Return log sigma, [D], where it is the head's own."""
        return self._parameters.initial(streams)

    def __call__(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Return [mean, log sigma]. x: [R, B, inputs]; the result: [R, B, 2 D]."""
        return self._parameters(parameters, x)

    def act(self, sample: Tensor) -> Tensor:
        """Return the action in the space's units, in float64. sample: [..., D]."""
        action = sample.double()
        match self._bounds:
            case "clip":
                return self._box.clip(action)
            case "tanh":
                return self._box.stretch(torch.tanh(action))
            case "rescale":
                return self._box.stretch(action)
        return action
