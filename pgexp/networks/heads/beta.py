"""Beta head of box spaces with finite bounds."""

from torch import Tensor

from pgexp.functional.distributions.beta import Beta
from pgexp.functional.distributions.distribution import Distribution
from pgexp.functional.operations import softplus
from pgexp.functional.spaces import ActionSpace
from pgexp.networks.heads.head import Head
from pgexp.networks.heads.spaces import Box, require
from pgexp.networks.parameters import Parameters, Streams


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
        return self._distribution.parameters

    def initial(self, streams: Streams) -> Parameters:
        """Return none."""
        return {}

    def __call__(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Return [alpha, beta], none below 1. x: [B, 2 D]; the result: [B, 2 D]."""
        return 1 + softplus(x)

    def act(self, sample: Tensor) -> Tensor:
        """Return the action in the space's units, in float64. sample: [B, D], between 0 and 1."""
        return self._box.stretch(2 * sample.double() - 1)
