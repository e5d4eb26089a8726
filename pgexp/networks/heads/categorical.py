"""The head of discrete spaces: one of a number of actions."""

from pgexp.functional.distributions.categorical import Categorical
from pgexp.functional.distributions.distribution import Distribution
from pgexp.functional.spaces import ActionSpace
from pgexp.networks.heads.logits import LogitsHead
from pgexp.networks.heads.spaces import require


class CategoricalHead(LogitsHead):
    """The softmax of the network's outputs, one an action."""

    def __init__(self, space: ActionSpace) -> None:
        require(space, "discrete")
        self._distribution = Categorical(space.counts[0])

    @property
    def distribution(self) -> Distribution:
        """The categorical distribution."""
        return self._distribution
