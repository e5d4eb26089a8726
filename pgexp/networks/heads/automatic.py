"""Head that fits the environment's action space."""

from typing import Any

from torch import Tensor

from pgexp.functional.distributions.distribution import Distribution
from pgexp.functional.spaces import ActionSpace
from pgexp.networks.heads.bernoulli import BernoulliHead
from pgexp.networks.heads.categorical import CategoricalHead
from pgexp.networks.heads.gaussian import GaussianHead
from pgexp.networks.heads.head import CompiledHead, Head
from pgexp.networks.heads.multi_categorical import MultiCategoricalHead
from pgexp.networks.parameters import Parameters, Streams

# The values of conf/head/gaussian.yaml; a test compares the two.
GAUSSIAN: dict[str, Any] = {
    "std": "parameter",
    "initial_std": 1.0,
    "min_std": 0.001,
    "max_std": 10.0,
    "bounds": "clip",
}


class AutomaticHead(Head):
    """The head that the kind of space asks for: categorical, multi-categorical, Bernoulli, or Gaussian as shipped."""

    def __init__(self, space: ActionSpace) -> None:
        self._head = _fitting(space)

    @property
    def distribution(self) -> Distribution:
        """The chosen head's."""
        return self._head.distribution

    @property
    def inputs(self) -> int:
        """The chosen head's."""
        return self._head.inputs

    def initial(self, streams: Streams) -> Parameters:
        """Return the chosen head's own parameters."""
        return self._head.initial(streams)

    def __call__(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Return the chosen head's parameters of distributions. x: [B, inputs]; the result: [B, P]."""
        return self._head(parameters, x)

    def act(self, sample: Tensor) -> Tensor:
        """Return the chosen head's action. sample: [B] or [B, D]."""
        return self._head.act(sample)

    def compiled(self) -> CompiledHead | None:
        """Return the chosen head's sampling."""
        return self._head.compiled()


def _fitting(space: ActionSpace) -> Head:
    match space.kind:
        case "discrete":
            return CategoricalHead(space)
        case "multi_discrete":
            return MultiCategoricalHead(space)
        case "multi_binary":
            return BernoulliHead(space)
        case "box":
            return GaussianHead(space, **GAUSSIAN)
