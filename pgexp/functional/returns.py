"""Returns of ragged batches. Steps of all episodes stand in one axis [S], episode after episode; lengths are [E]."""

import numpy as np

from pgexp.functional.arrays import Floats, Ints


def discounted_sums(x: Floats, lengths: Ints, discount: float, tails: Floats) -> Floats:
    """Return ``y_t = x_t + discount * y_{t+1}`` within each episode, where y after its last step is its tail.

    x: [S], lengths: [E] (each at least 1, their sum is S), tails: [E]; the result: [S]. With rewards for x and a tail
    of 0 this is the return-to-go G_t (Sutton & Barto 2018, eq. 3.9); a tail of V(s_T) bootstraps a cut episode.

    Computed by recursive doubling (Hillis & Steele 1986): ``y_t`` over 2n steps is ``y_t`` over n steps plus
    ``discount^n y_{t+n}`` over n steps, so that an episode of T steps takes log2 T passes over the array.
    """
    assert x.ndim == lengths.ndim == 1, (x.shape, lengths.shape)
    assert tails.shape == lengths.shape, (tails.shape, lengths.shape)
    y = x.copy()
    ends = np.cumsum(lengths)
    y[ends - 1] += discount * tails
    left = np.repeat(ends, lengths) - np.arange(len(x))  # steps from t to the episode's end, t included
    span, factor = 1, discount
    while span < lengths.max(initial=0):
        y[:-span] += np.where(left[:-span] > span, factor * y[span:], 0.0)
        span, factor = 2 * span, factor * factor
    return y


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
