"""Recurrent networks, step by step and over whole episodes."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from pgexp.functional.arrays import Ints
from pgexp.functional.operations import sigmoid, tanh
from pgexp.functional.returns import starts, times
from pgexp.kernels.layout import Layer
from pgexp.networks.layers import Dense, HiddenLayers
from pgexp.networks.network import Parameters, RecurrentNetwork, Streams
from pgexp.schema.types import NonNegativeFloat, PositiveFloat, PositiveInt


def unroll(
    network: RecurrentNetwork, parameters: Parameters, x: Tensor, lengths: Ints, memory: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the outputs at each step, [S, O], and the memory after each episode's last step, [E, Z].

    x: [S, I], episode after episode; lengths: [E], each at least 1, with sum S; memory: [E, Z], before each episode's
    first step. Gradients flow through the whole of an episode and not into others.

    All episodes advance together. They are ordered by length, the longest first, so that the running ones are the first
    and nothing is padded. Only `advance` runs step by step.
    """
    assert x.ndim == memory.ndim == 2, (x.shape, memory.shape)
    assert lengths.shape == memory.shape[:1], (lengths.shape, memory.shape)
    assert lengths.sum() == len(x), (lengths, x.shape)
    longest_first = np.argsort(-lengths, kind="stable")
    by_time, running = _time_order(lengths, longest_first)
    encoded = network.encode(parameters, x[torch.from_numpy(by_time)])
    now = memory[torch.from_numpy(longest_first)]
    memories = []
    for step in encoded.split(running):
        now = network.advance(parameters, step, now[: len(step)])
        memories.append(now)
    by_episode = torch.from_numpy(np.argsort(by_time))
    after = torch.cat(memories).index_select(0, by_episode)
    last = torch.from_numpy(starts(lengths) + lengths - 1)
    return network.decode(parameters, after), after.index_select(0, last)


def _time_order(lengths: Ints, order: Ints) -> tuple[Ints, list[int]]:
    """Return the indices [S] that sort steps by time, and the number of running episodes at each time.

    lengths: [E]; order: [E], the order of the episodes at each time.
    """
    of_step = times(lengths, np.zeros_like(lengths))
    place = np.argsort(order)
    return np.lexsort((np.repeat(place, lengths), of_step)), np.bincount(of_step).tolist()


class GRU(RecurrentNetwork):
    """Hidden layers, a gated recurrent unit, and an affine layer (Cho et al. 2014).

    With v the output of the hidden layers for x, h the memory, and * elementwise,

        r = sigmoid(v V_r + b_r + h W_r + c_r)
        z = sigmoid(v V_z + b_z + h W_z + c_z)
        n = tanh(v V_n + b_n + r * (h W_n + c_n))
        h' = (1 - z) * n + z * h

    as in torch.nn.GRU. The reset gate r multiplies the product including its bias, hence two biases.
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


class LSTM(RecurrentNetwork):
    """Hidden layers, a long short-term memory, and an affine layer (Hochreiter & Schmidhuber 1997; Gers et al. 2000).

    With v the output of the hidden layers for x, h and c the memory, and * elementwise,

        i = sigmoid(v V_i + b_i + h W_i)
        f = sigmoid(v V_f + b_f + h W_f)
        g = tanh(v V_g + b_g + h W_g)
        o = sigmoid(v V_o + b_o + h W_o)
        c' = f * c + i * g
        h' = o * tanh(c')

    as in torch.nn.LSTM, with one bias in place of its two. The forget gate's initial bias is 1 higher than the others,
    so that the cell keeps its memory at first (Jozefowicz et al. 2015).
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
