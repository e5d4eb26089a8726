"""The network with a gated recurrent unit."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from pgexp.networks.hidden import HiddenLayers
from pgexp.networks.layers import Dense, sigmoid
from pgexp.networks.network import RecurrentNetwork
from pgexp.networks.parameters import Parameters, Streams
from pgexp.schema.types import NonNegativeFloat, PositiveFloat, PositiveInt


class GRU(RecurrentNetwork):
    """Hidden layers, a gated recurrent unit, and an affine layer (Cho et al. 2014).

    With v what the hidden layers make of x, h the memory, and * elementwise,

        r = sigmoid(v V_r + b_r + h W_r + c_r)
        z = sigmoid(v V_z + b_z + h W_z + c_z)
        n = tanh(v V_n + b_n + r * (h W_n + c_n))
        h' = (1 - z) * n + z * h

    as in torch.nn.GRU: the reset gate r acts after the product, on its bias, too, hence two biases.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        widths: Sequence[PositiveInt],
        activation: Literal["relu", "tanh", "leaky_relu"],
        units: PositiveInt,
        initialization: Literal["orthogonal", "xavier", "kaiming", "pytorch", "constant", "zeros"],
        hidden_gain: PositiveFloat,
        output_gain: NonNegativeFloat,
    ) -> None:
        self._units = units
        self._hidden = HiddenLayers(inputs, widths, activation, initialization, hidden_gain)
        self._gates = Dense("gates", self._hidden.outputs, 3 * units, initialization, side_by_side=3)
        self._recurrent = Dense("recurrent", units, 3 * units, initialization, side_by_side=3)
        self._output = Dense("output", units, outputs, initialization, output_gain)

    @property
    def memory_size(self) -> int:
        """The cell's units."""
        return self._units

    def initial(self, streams: Streams) -> Parameters:
        """Return one run's parameters; the gates stand side by side in the order r, z, n."""
        layers = (self._hidden, self._gates, self._recurrent, self._output)
        return {name: tensor for layer in layers for name, tensor in layer.initial(streams).items()}

    def encode(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Return the gates' part that needs no memory. x: [R, B, inputs]; the result: [R, B, 3 units]."""
        return self._gates(parameters, [x, *self._hidden(parameters, x)][-1])

    def advance(self, parameters: Parameters, encoded: Tensor, memory: Tensor) -> Tensor:
        """Return h'. encoded: [R, B, 3 units], memory: [R, B, units]; the result: [R, B, units]."""
        of_input = encoded.chunk(3, -1)
        of_memory = self._recurrent(parameters, memory).chunk(3, -1)
        reset, keep = sigmoid(of_input[0] + of_memory[0]), sigmoid(of_input[1] + of_memory[1])
        new = torch.tanh(of_input[2] + reset * of_memory[2])
        return (1 - keep) * new + keep * memory

    def decode(self, parameters: Parameters, memory: Tensor) -> Tensor:
        """Return the outputs. memory: [R, B, units]; the result: [R, B, outputs]."""
        return self._output(parameters, memory)
