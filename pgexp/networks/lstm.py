"""Network with a long short-term memory."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from pgexp.functional.operations import sigmoid, tanh
from pgexp.kernels.layout import Layer
from pgexp.networks.layers import Dense, HiddenLayers
from pgexp.networks.network import RecurrentNetwork
from pgexp.networks.parameters import Parameters, Streams
from pgexp.schema.types import NonNegativeFloat, PositiveFloat, PositiveInt


class LSTM(RecurrentNetwork):
    """Hidden layers, a long short-term memory, and an affine layer (Hochreiter & Schmidhuber 1997; Gers et al. 2000).

    With v the output of the hidden layers for x, h and c the memory, and * elementwise,

        i = sigmoid(v V_i + b_i + h W_i)
        f = sigmoid(v V_f + b_f + h W_f)
        g = tanh(v V_g + b_g + h W_g)
        o = sigmoid(v V_o + b_o + h W_o)
        c' = f * c + i * g
        h' = o * tanh(c')

    as in torch.nn.LSTM, whose two biases are one here. The forget gate's bias starts 1 higher than the others, so that
    the cell remembers at first (Jozefowicz et al. 2015).
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
        self._gates = Dense("gates", self._hidden.outputs, 4 * units, initialization, blocks=4)
        self._recurrent = Dense("recurrent", units, 4 * units, initialization, bias=False, blocks=4)
        self._output = Dense("output", units, outputs, initialization, output_gain)

    @property
    def memory_size(self) -> int:
        """Twice the cell's units: h, then c."""
        return 2 * self._units

    def initial(self, streams: Streams) -> Parameters:
        """Return the initial parameters; the gates are in the order i, f, g, o."""
        layers = (self._hidden, self._gates, self._recurrent, self._output)
        drawn = {name: tensor for layer in layers for name, tensor in layer.initial(streams).items()}
        drawn["gates.bias"][self._units : 2 * self._units] += 1.0
        return drawn

    def encode(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Return the part of the gates that needs no memory. x: [B, inputs]; the result: [B, 4 units]."""
        return self._gates(parameters, [x, *self._hidden(parameters, x)][-1])

    def advance(self, parameters: Parameters, encoded: Tensor, memory: Tensor) -> Tensor:
        """Return h' and c'. encoded: [B, 4 units], memory: [B, 2 units]; the result: [B, 2 units]."""
        h, c = memory.chunk(2, -1)
        enter, forget, new, leave = (encoded + self._recurrent(parameters, h)).chunk(4, -1)
        c = sigmoid(forget) * c + sigmoid(enter) * tanh(new)
        return torch.cat([sigmoid(leave) * tanh(c), c], -1)

    def decode(self, parameters: Parameters, memory: Tensor) -> Tensor:
        """Return the outputs. memory: [B, 2 units]; the result: [B, outputs]."""
        return self._output(parameters, memory[..., : self._units])

    def layers(self) -> list[Layer]:
        """Return the layers for compiled kernels."""
        cell = Layer("lstm", 4 * self._units, self._units, "recurrent.weight", None)
        return [*self._hidden.layers(), self._gates.layer(), cell, self._output.layer()]
