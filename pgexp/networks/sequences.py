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

    parameters: one run's, [1, ...]; x: [S, I], episode after episode; lengths: [E], each at least 1, their sum is S;
    memory: [E, Z], before each episode's first step. Gradients go through all of an episode's time and no further.

    Time goes forward for all episodes together. With the longest first, those that still last are the first ones, so
    that nothing is padded; only `advance` runs step by step.
    """
    assert x.ndim == memory.ndim == 2, (x.shape, memory.shape)
    assert lengths.shape == memory.shape[:1], (lengths.shape, memory.shape)
    assert lengths.sum() == len(x), (lengths, x.shape)
    longest_first = np.argsort(-lengths, kind="stable")
    by_time, lasting = _by_time(lengths, longest_first)
    encoded = network.encode(parameters, x[torch.from_numpy(by_time)].unsqueeze(0))
    now = memory[torch.from_numpy(longest_first)].unsqueeze(0)
    memories = []
    for step in encoded.split(lasting, 1):
        now = network.advance(parameters, step, now[:, : step.shape[1]])
        memories.append(now)
    by_episode = torch.from_numpy(np.argsort(by_time))
    after = torch.cat(memories, 1).index_select(1, by_episode)
    last = torch.from_numpy(starts(lengths) + lengths - 1)
    return network.decode(parameters, after)[0], after[0].index_select(0, last)


def _by_time(lengths: Ints, order: Ints) -> tuple[Ints, list[int]]:
    """Return the indices [S] that put steps in order of time, and the number of episodes that last at each time.

    lengths: [E]; order: [E], the episodes in the order in which they stand at each time.
    """
    of_step = times(lengths, np.zeros_like(lengths))
    place = np.argsort(order)
    return np.lexsort((np.repeat(place, lengths), of_step)), np.bincount(of_step).tolist()
