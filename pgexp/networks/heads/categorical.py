"""Head of discrete spaces: one of a number of actions."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from pgexp.functional.distributions.categorical import Categorical
from pgexp.functional.distributions.distribution import Distribution
from pgexp.functional.spaces import ActionSpace
from pgexp.networks.heads.head import CompiledHead
from pgexp.networks.heads.logits import LogitsHead
from pgexp.networks.heads.spaces import require
from pgexp.networks.parameters import Parameters
from pgexp.schema.types import PositiveFloat


class CategoricalHead(LogitsHead):
    """``pi(a | s) = prior_a exp(x_a) / sum_b prior_b exp(x_b)``, x the network's outputs, one per action.

    The prior is the policy if all outputs are 0, as they are at first for a last layer of zeros. It is constant: its
    logarithm is the fixed intercept of a multinomial logit. Without a prior all actions have equal weight.
    """

    def __init__(self, space: ActionSpace, prior: Sequence[PositiveFloat] | None = None) -> None:
        require(space, "discrete")
        self._distribution = Categorical(space.counts[0])
        if prior is not None and len(prior) != space.counts[0]:
            raise ValueError(f"prior has {len(prior)} numbers, and there are {space.counts[0]} actions")
        self._offsets = (
            None if prior is None else torch.tensor([math.log(weight) for weight in prior], dtype=torch.float64)
        )

    @property
    def distribution(self) -> Distribution:
        """The categorical distribution."""
        return self._distribution

    def __call__(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Return the logits, the logarithm of the prior added. x: [B, A]; the result: [B, A]."""
        return x if self._offsets is None else x + self._offsets.to(x.dtype)

    def compiled(self) -> CompiledHead:
        """Return the kernel and the logarithm of the prior."""
        from pgexp.kernels.sampling import categorical

        return CompiledHead(categorical, () if self._offsets is None else self._offsets.tolist())
