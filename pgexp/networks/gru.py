"""Network with a gated recurrent unit."""

from collections.abc import Sequence
from typing import Literal

from torch import Tensor

from pgexp.functional.operations import sigmoid, tanh
from pgexp.kernels.layout import Layer
from pgexp.networks.layers import Dense, HiddenLayers
from pgexp.networks.network import RecurrentNetwork
from pgexp.networks.parameters import Parameters, Streams
from pgexp.schema.types import NonNegativeFloat, PositiveFloat, PositiveInt


class GRU(RecurrentNetwork):
    """Hidden layers, a gated recurrent unit, and an affine layer (Cho et al. 2014).

    With v the output of the hidden layers for x, h the memory, and * elementwise,

        r = sigmoid(v V_r + b_r + h W_r + c_r)
        z = sigmoid(v V_z + b_z + h W_z + c_z)
        n = tanh(v V_n + b_n + r * (h W_n + c_n))
        h' = (1 - z) * n + z * h

    as in torch.nn.GRU: the reset gate r multiplies the product with its bias, hence two biases.
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
        self._gates = Dense("gates", self._hidden.outputs, 3 * units, initialization, blocks=3)
        self._recurrent = Dense("recurrent", units, 3 * units, initialization, blocks=3)
        self._output = Dense("output", units, outputs, initialization, output_gain)

    @property
    def memory_size(self) -> int:
        """The cell's units."""
        return self._units

    def initial(self, streams: Streams) -> Parameters:
        """Return the initial parameters; the gates are in the order r, z, n."""
        layers = (self._hidden, self._gates, self._recurrent, self._output)
        return {name: tensor for layer in layers for name, tensor in layer.initial(streams).items()}

    def encode(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Return the part of the gates that needs no memory. x: [B, inputs]; the result: [B, 3 units]."""
        return self._gates(parameters, [x, *self._hidden(parameters, x)][-1])

    def advance(self, parameters: Parameters, encoded: Tensor, memory: Tensor) -> Tensor:
        """Return h'. encoded: [B, 3 units], memory: [B, units]; the result: [B, units]."""
        of_input = encoded.chunk(3, -1)
        of_memory = self._recurrent(parameters, memory).chunk(3, -1)
        reset, keep = sigmoid(of_input[0] + of_memory[0]), sigmoid(of_input[1] + of_memory[1])
        new = tanh(of_input[2] + reset * of_memory[2])
        return (1 - keep) * new + keep * memory

    def decode(self, parameters: Parameters, memory: Tensor) -> Tensor:
        """Return the outputs. memory: [B, units]; the result: [B, outputs]."""
        return self._output(parameters, memory)

    def layers(self) -> list[Layer]:
        """Return the layers for compiled kernels."""
        cell = Layer("gru", 3 * self._units, self._units, "recurrent.weight", "recurrent.bias")
        return [*self._hidden.layers(), self._gates.layer(), cell, self._output.layer()]
