"""The head of discrete spaces: one of a number of actions."""

from collections.abc import Sequence

import torch
from torch import Tensor

from pgexp.functional.distributions.categorical import Categorical
from pgexp.functional.distributions.distribution import Distribution
from pgexp.functional.spaces import ActionSpace
from pgexp.networks.heads.logits import LogitsHead
from pgexp.networks.heads.spaces import require
from pgexp.networks.parameters import Parameters
from pgexp.schema.types import PositiveFloat


class CategoricalHead(LogitsHead):
    """``pi(a | s) = prior_a exp(x_a) / sum_b prior_b exp(x_b)``, x the network's outputs, one an action.

    The prior is the policy where the outputs are 0, as those of a last layer of zeros are at first; it stays as it is.
    Its logarithm is the intercept of a multinomial logit, held. Without one all actions weigh alike.
    """

    def __init__(self, space: ActionSpace, prior: Sequence[PositiveFloat] | None = None) -> None:
        require(space, "discrete")
        self._distribution = Categorical(space.counts[0])
        if prior is not None and len(prior) != space.counts[0]:
            raise ValueError(f"prior has {len(prior)} numbers, and there are {space.counts[0]} actions")
        self._offsets = None if prior is None else torch.tensor(prior, dtype=torch.float64).log()

    @property
    def distribution(self) -> Distribution:
        """The categorical distribution."""
        return self._distribution

    def __call__(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Return the logits, the logarithm of the prior added. x: [R, B, A]; the result: [R, B, A]."""
        return x if self._offsets is None else x + self._offsets.to(x.dtype)
