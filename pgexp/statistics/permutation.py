"""Permutation tests of two samples: exact at any n, whatever the distribution, where the samples come from one.

Up to `MOST` relabellings all are taken, else some are drawn, with a fixed seed. Of m drawn ones, b at least as far
from 0 as what was observed, p = (b + 1) / (m + 1), which keeps the test's size (Phipson and Smyth 2010, "Permutation
p-values should never be zero"). All reduce the last axis.
"""

from functools import lru_cache
from itertools import combinations, product
from math import comb
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pgexp.statistics.estimates import FloatArray
from pgexp.statistics.two_samples import Studentised, of_independent, of_pairs

DRAWN: Final = 9_999
MOST: Final = 20_000
"""Up to so many relabellings all are taken: two samples of 8, pairs of 15."""
TIED: Final = 1e-9
"""Two statistics so close are one: sums in another order differ in the last bits."""


class Permutation(NamedTuple):
    """A permutation test: its p ``[...]``, the least p that it can give at this n, and whether all were taken."""

    p: FloatArray
    least_p: float
    exact: bool


def split_test(a: FloatArray, b: FloatArray, trim: float = 0.0, drawn: int = DRAWN) -> Permutation:
    """Return the two-sided test of the studentised difference over the splits of all scores into n_a and n_b.

    The samples are ``[..., n_a]`` and ``[..., n_b]``, the statistic that of `two_samples.of_independent`: Welch's t,
    or Yuen's. The test is exact where both samples come from one distribution, and right for many seeds where only
    their means are equal and the variances differ, which the permutation of the plain difference is not.

    At equal n a split and its mirror image are equally far from 0. With k_a and k_b scores trimmed at each end, so
    are all that exchange what is trimmed of a higher sample below and of a lower one above, which leaves the rest
    where it is: they are comb(k_a + k_b, k_a), and the least p is that many times as large.

    Sources: Janssen 1997, "Studentized permutation tests for non-i.i.d. hypotheses and the generalized
    Behrens-Fisher problem"; Chung and Romano 2013, "Exact and asymptotically robust permutation tests".
    """
    n_a, n_b = a.shape[-1], b.shape[-1]
    possible = comb(n_a + n_b, n_a)
    first, second = _splits(n_a, n_b, drawn)
    scores = np.concatenate([a, b], axis=-1)
    others = of_independent(scores[..., first], scores[..., second], trim)
    k_a, k_b = int(trim * n_a), int(trim * n_b)
    alike = comb(k_a + k_b, k_a) * (2 if n_a == n_b else 1)
    return _tested(of_independent(a, b, trim), others, possible, alike / possible)


def sign_flip_test(a: FloatArray, b: FloatArray, trim: float = 0.0, drawn: int = DRAWN) -> Permutation:
    """Return the two-sided test of the paired difference over all exchanges within pairs.

    The samples are ``[..., n]`` each, the statistic that of `two_samples.of_pairs`. An exchange flips the sign of
    the pair's difference. The test is exact where the two of a pair are exchangeable, which independent seeds of
    one distribution are.

    Source: Fisher 1935, "The design of experiments", section 21.
    """
    flips = _flips(a.shape[-1], drawn)
    one, other = a[..., None, :], b[..., None, :]
    others = of_pairs(np.where(flips, other, one), np.where(flips, one, other), trim)
    possible = 2 ** (a.shape[-1] - 1)
    return _tested(of_pairs(a, b, trim), others, possible, 1 / possible)


def _tested(observed: Studentised, others: Studentised, possible: int, least_p: float) -> Permutation:
    farther = np.abs(others.t) >= np.abs(observed.t)[..., None] * (1 - TIED) - TIED
    taken = farther.shape[-1]
    if possible <= MOST:
        return Permutation(np.asarray(farther.mean(axis=-1)), least_p, True)
    return Permutation((farther.sum(axis=-1) + 1) / (taken + 1), 1 / (taken + 1), False)


@lru_cache(maxsize=8)
def _splits(n_a: int, n_b: int, drawn: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the places of the first sample's scores and of the second's: ``[splits, n_a]`` and ``[splits, n_b]``."""
    n = n_a + n_b
    if comb(n, n_a) > MOST:
        order = np.random.default_rng(0).permuted(np.tile(np.arange(n), (drawn, 1)), axis=1)
        return order[:, :n_a], order[:, n_a:]
    first = np.array(list(combinations(range(n), n_a)), dtype=np.intp)
    rest = np.ones((len(first), n), dtype=bool)
    np.put_along_axis(rest, first, False, axis=1)
    return first, np.nonzero(rest)[1].reshape(len(first), n_b)


@lru_cache(maxsize=8)
def _flips(n: int, drawn: int) -> NDArray[np.bool_]:
    """Return which pairs are exchanged, ``[flips, n]``; the first is not, since flipping all changes no distance."""
    if 2 ** (n - 1) > MOST:
        return np.random.default_rng(0).integers(2, size=(drawn, n)).astype(bool)
    return np.array([(False, *rest) for rest in product((False, True), repeat=n - 1)])
