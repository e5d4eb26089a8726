"""Recurrent networks over whole episodes."""

import numpy as np
import torch
from torch import Tensor

from pgexp.functional.arrays import Ints
from pgexp.functional.returns import starts, times
from pgexp.networks.network import RecurrentNetwork
from pgexp.networks.parameters import Parameters


def unroll(
    network: RecurrentNetwork, parameters: Parameters, x: Tensor, lengths: Ints, memory: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the outputs at each step, [S, O], and the memory after each episode's last step, [E, Z].

    x: [S, I], episode after episode; lengths: [E], each at least 1, with sum S; memory: [E, Z], before each episode's
    first step. Gradients flow through the whole of an episode and not into others.

    All episodes advance together. They are ordered by length, the longest first, so that those still running are the
    first ones and nothing is padded; only `advance` runs step by step.
    """
    assert x.ndim == memory.ndim == 2, (x.shape, memory.shape)
    assert lengths.shape == memory.shape[:1], (lengths.shape, memory.shape)
    assert lengths.sum() == len(x), (lengths, x.shape)
    longest_first = np.argsort(-lengths, kind="stable")
    by_time, lasting = _by_time(lengths, longest_first)
    encoded = network.encode(parameters, x[torch.from_numpy(by_time)])
    now = memory[torch.from_numpy(longest_first)]
    memories = []
    for step in encoded.split(lasting):
        now = network.advance(parameters, step, now[: len(step)])
        memories.append(now)
    by_episode = torch.from_numpy(np.argsort(by_time))
    after = torch.cat(memories).index_select(0, by_episode)
    last = torch.from_numpy(starts(lengths) + lengths - 1)
    return network.decode(parameters, after), after.index_select(0, last)


def _by_time(lengths: Ints, order: Ints) -> tuple[Ints, list[int]]:
    """Return the indices [S] that put steps in order of time, and the number of episodes that last at each time.

    lengths: [E]; order: [E], the order of the episodes at each time.
    """
    of_step = times(lengths, np.zeros_like(lengths))
    place = np.argsort(order)
    return np.lexsort((np.repeat(place, lengths), of_step)), np.bincount(of_step).tolist()
