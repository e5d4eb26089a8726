"""Heads of discrete, multi-discrete and multi-binary action spaces."""

import math
from abc import ABC
from collections.abc import Sequence

import torch
from torch import Tensor

from pgexp.functional.distributions import Bernoulli, Categorical, Distribution, MultiCategorical
from pgexp.functional.spaces import ActionSpace
from pgexp.kernels import sampling
from pgexp.networks.heads.head import CompiledHead, Head, require
from pgexp.networks.network import Parameters, Streams
from pgexp.schema.types import PositiveFloat


class LogitsHead(Head, ABC):
    """A head whose logits are the network's outputs. Samples are actions; it has no parameters."""

    @property
    def inputs(self) -> int:
        """The number of logits."""
        return self.distribution.num_parameters

    def initial(self, streams: Streams) -> Parameters:
        """Return {}."""
        return {}

    def __call__(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Return the outputs, unchanged. x: [B, P]; the result: [B, P]."""
        return x

    def act(self, sample: Tensor) -> Tensor:
        """Return the sample, counted from 0. sample: [B] or [B, D]."""
        return sample


class CategoricalHead(LogitsHead):
    """``pi(a | s) = prior_a exp(x_a) / sum_b prior_b exp(x_b)``, x the network's outputs, one per action.

    The prior is the policy if all outputs are 0, as initially with a last layer of zeros. It is constant: its logarithm
    is the fixed intercept of a multinomial logit. Without a prior all actions have equal weight.
    """

    def __init__(self, space: ActionSpace, prior: Sequence[PositiveFloat] | None = None) -> None:
        require(space, "discrete")
        self._distribution = Categorical(space.counts[0])
        if prior is not None and len(prior) != space.counts[0]:
            raise ValueError(f"prior must have one number per action, {space.counts[0]} (got {len(prior)})")
        self._offsets = (
            None if prior is None else torch.tensor([math.log(weight) for weight in prior], dtype=torch.float64)
        )

    @property
    def distribution(self) -> Distribution:
        """The categorical distribution."""
        return self._distribution

    def __call__(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Return the logits, including the logarithm of the prior. x: [B, A]; the result: [B, A]."""
        return x if self._offsets is None else x + self._offsets.to(x.dtype)

    def compiled(self) -> CompiledHead:
        """Return the kernel and the logarithm of the prior."""
        return CompiledHead(sampling.categorical, () if self._offsets is None else self._offsets.tolist())


class MultiCategoricalHead(LogitsHead):
    """A softmax of the network's outputs for each component; components are independent."""

    def __init__(self, space: ActionSpace) -> None:
        require(space, "multi_discrete")
        self._distribution = MultiCategorical(space.counts)

    @property
    def distribution(self) -> Distribution:
        """Independent categorical distributions."""
        return self._distribution

    def compiled(self) -> CompiledHead:
        """Return the kernel and each component's number of choices."""
        return CompiledHead(sampling.multi_categorical, self._distribution.counts)


class BernoulliHead(LogitsHead):
    """The sigmoid of an output for each component; components are independent."""

    def __init__(self, space: ActionSpace) -> None:
        require(space, "multi_binary")
        self._distribution = Bernoulli(space.size)

    @property
    def distribution(self) -> Distribution:
        """Independent Bernoulli distributions."""
        return self._distribution

    def compiled(self) -> CompiledHead:
        """Return the kernel."""
        return CompiledHead(sampling.bernoulli)
