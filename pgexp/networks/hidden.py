"""Hidden layers: what stands between a network's inputs, feature maps or cell and its outputs."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor

from pgexp.networks.initialization import Initialization
from pgexp.networks.layers import ACTIVATIONS, Activation, Dense, LayerNorm
from pgexp.networks.parameters import Parameters, Streams


class HiddenLayers:
    """Affine layers, each with an activation after it, and with a layer normalisation before that if so wished.

    Their names are numbers, counted from `first`.
    """

    def __init__(
        self,
        inputs: int,
        widths: Sequence[int],
        activation: Activation,
        initialization: Initialization,
        gain: float,
        layer_norm: bool = False,
        first: int = 0,
    ) -> None:
        sizes = enumerate(pairwise([inputs, *widths]), first)
        self.outputs = [inputs, *widths][-1]
        self._activation = ACTIVATIONS[activation]
        self._layers = [
            (
                Dense(str(i), size_in, size_out, initialization, gain),
                LayerNorm(str(i), size_out) if layer_norm else None,
            )
            for i, (size_in, size_out) in sizes
        ]

    def initial(self, streams: Streams) -> Parameters:
        """Return one run's parameters, layer by layer."""
        drawn: Parameters = {}
        for affine, norm in self._layers:
            drawn |= affine.initial(streams)
            if norm is not None:
                drawn |= norm.initial()
        return drawn

    def __call__(self, parameters: Parameters, x: Tensor) -> list[Tensor]:
        """Return each layer's units after the activation. x: [R, B, inputs]; the result: [R, B, width] each."""
        found = []
        for affine, norm in self._layers:
            x = affine(parameters, x)
            if norm is not None:
                x = norm(parameters, x)
            x = self._activation(x)
            found.append(x)
        return found
