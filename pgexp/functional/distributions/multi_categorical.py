"""Independent categorical distributions: a vector of choices."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pgexp.functional.distributions.categorical import Categorical
from pgexp.functional.distributions.distribution import Distribution


@dataclass(frozen=True)
class MultiCategorical(Distribution):
    """The distribution over vectors of D choices, component d one of counts[d], with their logits one after another."""

    counts: tuple[int, ...]

    @property
    def parameters(self) -> int:
        """The logits, one per choice of each component."""
        return sum(self.counts)

    @property
    def draws(self) -> int:
        """One uniform number per component."""
        return len(self.counts)

    def sample(self, parameters: Tensor, uniforms: Tensor) -> Tensor:
        """Return each component's choice for its own uniform number."""
        drawn = [
            choice.sample(logits, own)
            for choice, logits, own in zip(self._choices, self._split(parameters), uniforms.split(1, -1), strict=True)
        ]
        return torch.stack(drawn, -1)

    def mode(self, parameters: Tensor) -> Tensor:
        """Return each component's choice of the largest logit."""
        return torch.stack([logits.argmax(-1) for logits in self._split(parameters)], -1)

    def log_prob(self, parameters: Tensor, action: Tensor) -> Tensor:
        """Return ``sum_d log p_d(a_d)``."""
        each = [
            choice.log_prob(logits, own)
            for choice, logits, own in zip(self._choices, self._split(parameters), action.unbind(-1), strict=True)
        ]
        return torch.stack(each, -1).sum(-1)

    def entropy(self, parameters: Tensor) -> Tensor:
        """Return the sum of the components' entropies."""
        each = [
            choice.entropy(logits) for choice, logits in zip(self._choices, self._split(parameters), strict=True)
        ]  # fmt: skip
        return torch.stack(each, -1).sum(-1)

    def kl(self, old: Tensor, new: Tensor) -> Tensor:
        """Return the sum of the components' divergences."""
        each = [
            choice.kl(before, after)
            for choice, before, after in zip(self._choices, self._split(old), self._split(new), strict=True)
        ]
        return torch.stack(each, -1).sum(-1)

    @property
    def _choices(self) -> list[Categorical]:
        return [Categorical(count) for count in self.counts]

    def _split(self, parameters: Tensor) -> tuple[Tensor, ...]:
        parts: tuple[Tensor, ...] = parameters.split(list(self.counts), -1)
        return parts
