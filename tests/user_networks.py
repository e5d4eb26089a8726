"""A user's own torch module, as configurations name it."""

from typing import Any

import torch
from torch import Tensor, nn


class Residual(nn.Module):
    """A network that pgexp runs in torch, because it is not a `torch.nn.Sequential`."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.hidden, self.output = nn.Linear(inputs, 8), nn.Linear(8 + inputs, outputs)

    def forward(self, x: Tensor) -> Any:
        """Return the outputs. x: [B, inputs]; the result: [B, outputs]."""
        return self.output(torch.cat([torch.relu(self.hidden(x)), x], -1))
