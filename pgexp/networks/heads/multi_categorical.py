"""Head of multi-discrete spaces: a vector of choices."""

from pgexp.functional.distributions.distribution import Distribution
from pgexp.functional.distributions.multi_categorical import MultiCategorical
from pgexp.functional.spaces import ActionSpace
from pgexp.networks.heads.head import CompiledHead
from pgexp.networks.heads.logits import LogitsHead
from pgexp.networks.heads.spaces import require


class MultiCategoricalHead(LogitsHead):
    """A softmax of the network's outputs for each component; components are chosen independently."""

    def __init__(self, space: ActionSpace) -> None:
        require(space, "multi_discrete")
        self._distribution = MultiCategorical(space.counts)

    @property
    def distribution(self) -> Distribution:
        """Independent categorical distributions."""
        return self._distribution

    def compiled(self) -> CompiledHead:
        """Return the kernel and each component's number of choices."""
        from pgexp.kernels.sampling import multi_categorical

        return CompiledHead(multi_categorical, self._distribution.counts)
