"""Head of multi-binary spaces: a vector of switches."""

from pgexp.functional.distributions.bernoulli import Bernoulli
from pgexp.functional.distributions.distribution import Distribution
from pgexp.functional.spaces import ActionSpace
from pgexp.networks.heads.head import CompiledHead
from pgexp.networks.heads.logits import LogitsHead
from pgexp.networks.heads.spaces import require


class BernoulliHead(LogitsHead):
    """The sigmoid of an output for each component; components are switched independently."""

    def __init__(self, space: ActionSpace) -> None:
        require(space, "multi_binary")
        self._distribution = Bernoulli(space.size)

    @property
    def distribution(self) -> Distribution:
        """Independent Bernoulli distributions."""
        return self._distribution

    def compiled(self) -> CompiledHead:
        """Return the kernel."""
        from pgexp.kernels.sampling import bernoulli

        return CompiledHead(bernoulli)
