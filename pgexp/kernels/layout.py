"""Layout of networks: a list of layers over one flat parameter vector, as numbers that kernels read.

A layout is an int64 vector: a header of HEADER numbers, then one record of RECORD numbers per layer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["normalize", "dense", "layer_norm", "gru", "lstm"]
ActivationName = Literal["none", "relu", "tanh", "leaky_relu"]

_KINDS: Final[tuple[Kind, ...]] = ("normalize", "dense", "layer_norm", "gru", "lstm")
NORMALIZE, DENSE, LAYER_NORM, GRU, LSTM = range(5)
ACTIVATIONS: Final[tuple[ActivationName, ...]] = ("none", "relu", "tanh", "leaky_relu")
_, RELU, TANH, LEAKY_RELU = range(4)
LEAK: Final = 0.01  # slope of leaky ReLU below zero, PyTorch's default

HEADER: Final = 3
LAYERS, WIDEST, HEAD = range(HEADER)  # number of layers; numbers of the widest; offset of the head's parameters, or -1
RECORD: Final = 7
KIND, INPUTS, OUTPUTS, FIRST, SECOND, ACTIVATION, LIMIT = range(RECORD)


@dataclass(frozen=True)
class Layer:
    """One layer of a network's program.

    normalize: ``(x - first) * second``, clipped to +-limit. dense: ``x W + b``, W [inputs, outputs] and b named
    first and second (no second: no bias). layer_norm: scale and shift named first and second. gru, lstm: the recurrent
    part; the input is the gates' part that needs no memory, [3 units] or [4 units]; W and b of the memory named first
    and second; the output is the next hidden state, [units]. The activation is applied last.
    """

    kind: Kind
    inputs: int
    outputs: int
    first: str
    second: str | None = None
    activation: ActivationName = "none"
    limit: float = float("inf")


def layout_of(layers: Sequence[Layer], offsets: Mapping[str, int], head: int = -1) -> NDArray[np.int64]:
    """Return the layout of a network. offsets: index of each parameter's first element in the flat vector."""
    widest = max(max(layer.inputs, layer.outputs) for layer in layers)
    header = [len(layers), widest, head]
    records = [
        [
            _KINDS.index(layer.kind),
            layer.inputs,
            layer.outputs,
            offsets[layer.first],
            -1 if layer.second is None else offsets[layer.second],
            ACTIVATIONS.index(layer.activation),
            int(np.float64(layer.limit).view(np.int64)),
        ]
        for layer in layers
    ]
    return np.array([*header, *(number for record in records for number in record)], dtype=np.int64)


def scratch_size(layout: NDArray[np.int64], rows: int) -> int:
    """Return the size of the scratch array that `forward` needs for a number of rows."""
    return 3 * rows * int(layout[WIDEST])
