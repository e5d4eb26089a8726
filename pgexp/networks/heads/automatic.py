"""Head selected by the environment's action space."""

from typing import Any

from torch import Tensor

from pgexp.functional.distributions import Distribution
from pgexp.functional.spaces import ActionSpace
from pgexp.networks.heads.box import GaussianHead
from pgexp.networks.heads.discrete import BernoulliHead, CategoricalHead, MultiCategoricalHead
from pgexp.networks.heads.head import CompiledHead, Head
from pgexp.networks.network import Parameters, Streams

# The values of conf/head/gaussian.yaml; a test compares the two.
GAUSSIAN: dict[str, Any] = {
    "std": "parameter",
    "initial_std": 1.0,
    "min_std": 0.001,
    "max_std": 10.0,
    "bounds": "clip",
}


class AutomaticHead(Head):
    """The head for the kind of space: categorical, multi-categorical, Bernoulli, or Gaussian with default values."""

    def __init__(self, space: ActionSpace) -> None:
        self._head = _select(space)

    @property
    def distribution(self) -> Distribution:
        """The selected head's."""
        return self._head.distribution

    @property
    def inputs(self) -> int:
        """The selected head's."""
        return self._head.inputs

    def initial(self, streams: Streams) -> Parameters:
        """Return the selected head's own parameters."""
        return self._head.initial(streams)

    def __call__(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Return the selected head's parameters of distributions. x: [B, inputs]; the result: [B, P]."""
        return self._head(parameters, x)

    def act(self, sample: Tensor) -> Tensor:
        """Return the selected head's action. sample: [B] or [B, D]."""
        return self._head.act(sample)

    def compiled(self) -> CompiledHead | None:
        """Return the selected head's sampling."""
        return self._head.compiled()


def _select(space: ActionSpace) -> Head:
    match space.kind:
        case "discrete":
            return CategoricalHead(space)
        case "multi_discrete":
            return MultiCategoricalHead(space)
        case "multi_binary":
            return BernoulliHead(space)
        case "box":
            return GaussianHead(space, **GAUSSIAN)
