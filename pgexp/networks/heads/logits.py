"""Base class of the heads of countable spaces: outputs are logits, and samples are actions."""

from abc import ABC

from torch import Tensor

from pgexp.networks.heads.head import Head
from pgexp.networks.parameters import Parameters, Streams


class LogitsHead(Head, ABC):
    """A head whose logits are the network's outputs, without parameters of its own."""

    @property
    def inputs(self) -> int:
        """The number of logits."""
        return self.distribution.parameters

    def initial(self, streams: Streams) -> Parameters:
        """Return none."""
        return {}

    def __call__(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Return the outputs as they are. x: [B, P]; the result: [B, P]."""
        return x

    def act(self, sample: Tensor) -> Tensor:
        """Return the sample, counted from 0. sample: [B] or [B, D]."""
        return sample
