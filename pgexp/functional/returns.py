"""Returns of ragged batches.

The steps of all episodes are on one axis [S], episode after episode; `lengths` is [E].
"""

from functools import cache
from typing import Any

import numpy as np

from pgexp.functional.arrays import Floats, Ints
from pgexp.kernels import compilation
from pgexp.kernels import returns as kernels


def discounted_sums(x: Floats, lengths: Ints, discount: float, tails: Floats) -> Floats:
    """Return ``y_t = x_t + discount * y_{t+1}`` within each episode; after its last step y is the episode's tail.

    x: [S], lengths: [E] (each at least 1, their sum is S), tails: [E]; the result: [S]. With rewards for x and a tail
    of 0 this is the return-to-go G_t (Sutton & Barto 2018, eq. 3.9); a tail of V(s_T) bootstraps a cut episode.
    """
    assert x.ndim == lengths.ndim == 1, (x.shape, lengths.shape)
    assert tails.shape == lengths.shape, (tails.shape, lengths.shape)
    x, tails = (np.ascontiguousarray(array, np.float64) for array in (x, tails))
    y = np.empty_like(x)
    _sums()(x, np.ascontiguousarray(lengths, np.int64), float(discount), tails, y)
    return y


@cache
def _sums() -> Any:
    whole, real = np.zeros(0, np.int64), np.zeros(0)
    return compilation.entry_point(kernels.discounted_sums, real, whole, 0.0, real, real)


def lambda_returns(
    rewards: Floats, lengths: Ints, values: Floats, tails: Floats, gamma: float, gae_lambda: float
) -> Floats:
    """Return ``G^lambda_t = V_t + sum_k (gamma lambda)^k delta_{t+k}``, ``delta_t = r_t + gamma V_{t+1} - V_t``.

    rewards, values: [S], lengths, tails (V after each last step): [E]; the result: [S]. Less V it is the generalised
    advantage estimate (Schulman et al. 2016, eq. 16); lambda = 1 gives the return-to-go, 0 the one-step return.
    """
    assert rewards.shape == values.shape, (rewards.shape, values.shape)
    following = _later(values, lengths, 1, tails)
    errors = rewards + gamma * following - values
    return values + discounted_sums(errors, lengths, gamma * gae_lambda, np.zeros(len(lengths)))


def n_step_returns(rewards: Floats, lengths: Ints, values: Floats, tails: Floats, gamma: float, n: int) -> Floats:
    """Return ``G^n_t = sum_{k<n} gamma^k r_{t+k} + gamma^n V_{t+n}`` (Sutton & Barto 2018, eq. 7.1).

    rewards, values: [S], lengths, tails (V after each last step): [E]; the result: [S]. If the episode ends before
    t + n, it is the return-to-go with its tail.
    """
    assert rewards.shape == values.shape, (rewards.shape, values.shape)
    to_go = discounted_sums(rewards, lengths, gamma, tails)
    later = _later(values - to_go, lengths, n, np.zeros(len(lengths)))
    return to_go + gamma**n * later


def _later(x: Floats, lengths: Ints, n: int, beyond: Floats) -> Floats:
    """Return ``x_{t+n}`` within each episode, or the episode's `beyond`, [E], if it has no such step."""
    inside = steps_left(lengths) > n
    found = np.repeat(beyond, lengths)
    found[inside] = x[np.flatnonzero(inside) + n]
    return found


def steps_left(lengths: Ints) -> Ints:
    """Return the number of steps from each step, included, to its episode's end. lengths: [E]; the result: [S]."""
    ends = np.cumsum(lengths)
    return np.repeat(ends, lengths) - np.arange(lengths.sum())


def episode_sums(x: Floats, lengths: Ints) -> Floats:
    """Return the sum of x over each episode. x: [S], lengths: [E], each at least 1; the result: [E]."""
    assert x.ndim == lengths.ndim == 1, (x.shape, lengths.shape)
    return np.add.reduceat(x, starts(lengths)) if len(lengths) else np.zeros(0)


def starts(lengths: Ints) -> Ints:
    """Return the index of each episode's first step. lengths: [E]; the result: [E]."""
    return np.cumsum(lengths) - lengths


def times(lengths: Ints, first: Ints) -> Ints:
    """Return each step's time within its episode.

    lengths, first (the time of the first step in the batch): [E]; the result: [S].
    """
    return np.arange(lengths.sum()) - np.repeat(starts(lengths) - first, lengths)


def powers(base: float, count: int) -> Floats:
    """Return ``base^0, ..., base^(count - 1)``, by repeated products: NumPy's power differs between processors."""
    factors = np.full(count, base)
    factors[:1] = 1.0
    return np.multiply.accumulate(factors)
