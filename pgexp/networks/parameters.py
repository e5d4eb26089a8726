"""A network's parameters, as one run has them and as a pack stacks them."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from pgexp.schema.streams import Name, integer

Parameters = dict[str, Tensor]
"""A network's tensors by name. Stacked they are [R, ...]; one run's are the same without the first axis."""

Streams = Callable[[str], torch.Generator]
"""Gives the random stream of a parameter's name, so that each is drawn independently of the others."""


def streams(seed: int, *names: Name) -> Streams:
    """Return the streams (seed, *names, parameter's name)."""
    return partial(_stream, seed, *names)


def _stream(seed: int, *names: Name) -> torch.Generator:
    return torch.Generator().manual_seed(integer(seed, *names))


def cast(parameters: Parameters, dtype: torch.dtype) -> Parameters:
    """Return the parameters in another precision."""
    return {name: tensor.to(dtype) for name, tensor in parameters.items()}


def stack(runs: Sequence[Parameters]) -> Parameters:
    """Return the runs' parameters stacked along a first axis, [R, ...]."""
    return {name: torch.stack([run[name] for run in runs]) for name in runs[0]}


def select(stacked: Parameters, runs: Sequence[int]) -> Parameters:
    """Return the stacked parameters of the chosen runs, in their order; the stack itself where that is all of them."""
    count = len(next(iter(stacked.values())))
    if list(runs) == list(range(count)):
        return stacked
    index = torch.tensor(runs)
    return {name: tensor.index_select(0, index) for name, tensor in stacked.items()}


def views(stacked: Parameters, run: int) -> Parameters:
    """Return one run's part of the stack, [1, ...], sharing its memory: what its optimizer steps on."""
    return {name: tensor[run : run + 1].detach() for name, tensor in stacked.items()}
