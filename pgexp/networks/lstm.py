"""The network with a long short-term memory."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from pgexp.networks.hidden import HiddenLayers
from pgexp.networks.layers import Dense, sigmoid
from pgexp.networks.network import RecurrentNetwork
from pgexp.networks.parameters import Parameters, Streams
from pgexp.schema.types import NonNegativeFloat, PositiveFloat, PositiveInt


class LSTM(RecurrentNetwork):
    """Hidden layers, a long short-term memory, and an affine layer (Hochreiter & Schmidhuber 1997; Gers et al. 2000).

    With v what the hidden layers make of x, h and c the memory, and * elementwise,

        i = sigmoid(v V_i + b_i + h W_i)
        f = sigmoid(v V_f + b_f + h W_f)
        g = tanh(v V_g + b_g + h W_g)
        o = sigmoid(v V_o + b_o + h W_o)
        c' = f * c + i * g
        h' = o * tanh(c')

    as in torch.nn.LSTM, whose two biases are one here. The forget gate's begins 1 higher than the others, so that the
    cell remembers at first (Jozefowicz et al. 2015).
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
        self._gates = Dense("gates", self._hidden.outputs, 4 * units, initialization, side_by_side=4)
        self._recurrent = Dense("recurrent", units, 4 * units, initialization, bias=False, side_by_side=4)
        self._output = Dense("output", units, outputs, initialization, output_gain)

    @property
    def memory_size(self) -> int:
        """Twice the cell's units: h, then c."""
        return 2 * self._units

    def initial(self, streams: Streams) -> Parameters:
        """Return one run's parameters; the gates stand side by side in the order i, f, g, o."""
        layers = (self._hidden, self._gates, self._recurrent, self._output)
        drawn = {name: tensor for layer in layers for name, tensor in layer.initial(streams).items()}
        drawn["gates.bias"][self._units : 2 * self._units] += 1.0
        return drawn

    def encode(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Return the gates' part that needs no memory. x: [R, B, inputs]; the result: [R, B, 4 units]."""
        return self._gates(parameters, [x, *self._hidden(parameters, x)][-1])

    def advance(self, parameters: Parameters, encoded: Tensor, memory: Tensor) -> Tensor:
        """Return h' and c'. encoded: [R, B, 4 units], memory: [R, B, 2 units]; the result: [R, B, 2 units]."""
        h, c = memory.chunk(2, -1)
        enter, forget, new, leave = (encoded + self._recurrent(parameters, h)).chunk(4, -1)
        c = sigmoid(forget) * c + sigmoid(enter) * torch.tanh(new)
        return torch.cat([sigmoid(leave) * torch.tanh(c), c], -1)

    def decode(self, parameters: Parameters, memory: Tensor) -> Tensor:
        """Return the outputs. memory: [R, B, 2 units]; the result: [R, B, outputs]."""
        return self._output(parameters, memory[..., : self._units])
