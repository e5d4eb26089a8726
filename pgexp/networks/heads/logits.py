"""What the heads of countable spaces share: outputs that are logits, and samples that are actions."""

from abc import ABC

from torch import Tensor

from pgexp.networks.heads.head import Head
from pgexp.networks.parameters import Parameters, Streams


class LogitsHead(Head, ABC):
    """A head that reads the logits of its distribution off the network and has no parameters of its own."""

    @property
    def inputs(self) -> int:
        """The number of logits."""
        return self.distribution.parameters

    def initial(self, streams: Streams) -> Parameters:
        """Return none."""
        return {}

    def __call__(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Return the outputs as they are. x: [R, B, P]; the result: [R, B, P]."""
        return x

    def act(self, sample: Tensor) -> Tensor:
        """Return the sample, counted from 0. sample: [...] or [..., D]."""
        return sample
