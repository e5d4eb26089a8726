"""Returns of ragged batches. Steps of all episodes stand in one axis [S], episode after episode; lengths are [E]."""

from itertools import accumulate

import numpy as np

from pgexp.functional.arrays import Floats, Ints


def discounted_sums(x: Floats, lengths: Ints, discount: float, tails: Floats) -> Floats:
    """Return ``y_t = x_t + discount * y_{t+1}`` within each episode, where y after its last step is its tail.

    x: [S], lengths: [E] (their sum is S), tails: [E]; the result: [S]. With rewards for x and a tail of 0 this is the
    return-to-go G_t (Sutton & Barto 2018, eq. 3.9); a tail of V(s_T) bootstraps a cut episode (eq. 9.15's target).
    """
    assert x.ndim == lengths.ndim == tails.ndim == 1, (x.shape, lengths.shape, tails.shape)
    sums: list[float] = []
    backwards, end = x.tolist(), len(x)
    for length, tail in zip(lengths[::-1].tolist(), tails[::-1].tolist(), strict=True):
        episode = reversed(backwards[end - length : end])
        sums += [*accumulate(episode, lambda y, x_t: x_t + discount * y, initial=tail)][1:]
        end -= length
    return np.array(sums[::-1], dtype=np.float64)


def episode_sums(x: Floats, lengths: Ints) -> Floats:
    """Return the sum of x over each episode. x: [S], lengths: [E], each at least 1; the result: [E]."""
    assert x.ndim == lengths.ndim == 1, (x.shape, lengths.shape)
    return np.add.reduceat(x, starts(lengths)) if len(lengths) else np.zeros(0)


def starts(lengths: Ints) -> Ints:
    """Return the index of each episode's first step. lengths: [E]; the result: [E]."""
    return np.cumsum(lengths) - lengths


def times(lengths: Ints, first: Ints) -> Ints:
    """Return each step's time within its episode. lengths, first (the time of the first step held): [E]; [S]."""
    return np.arange(lengths.sum()) - np.repeat(starts(lengths) - first, lengths)
