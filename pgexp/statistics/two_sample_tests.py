"""Tests of two configurations by their seeds: t tests, permutation tests, and Holm's correction for several tests.

All tests reduce the last axis, so that many samples are one call. A permutation test is exact at any n, for any
distribution, if both samples have the same one. It takes all relabellings up to `MAX_RELABELLINGS`, otherwise it draws
some with a fixed seed. If b of m drawn relabellings are at least as extreme as the observation, p = (b + 1) / (m + 1),
which keeps the size of the test (Phipson and Smyth 2010, "Permutation p-values should never be zero").
"""

from collections.abc import Callable
from functools import lru_cache
from itertools import combinations, product
from math import comb
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pgexp.statistics.point_estimates import FloatArray

ROUNDING: Final = 1e-14
"""Differences and errors below this share of the largest score are rounding errors and set to 0."""
DRAWS: Final = 9_999
MAX_RELABELLINGS: Final = 20_000
"""Up to this number all relabellings are taken: two samples of 8, pairs of 15."""
TIED: Final = 1e-9
"""Two statistics this close are equal: sums in another order differ in the last bits."""


class TStatistic(NamedTuple):
    """A difference, its standard error and the degrees of freedom of their ratio, each ``[...]``.

    If nothing varies, the error is 0, and the degrees of freedom are those of the larger sample.
    """

    difference: FloatArray
    error: FloatArray
    degrees: FloatArray

    @property
    def t(self) -> FloatArray:
        """The difference over its error. Without an error: 0 for equal means, otherwise infinite."""
        without = np.where(self.difference == 0, 0.0, np.copysign(np.inf, self.difference))
        return np.asarray(
            np.where(self.error == 0, without, self.difference / np.where(self.error == 0, 1, self.error))
        )

    @property
    def p(self) -> FloatArray:
        """The two-sided p value of Student's t."""
        from scipy.special import stdtr

        return np.asarray(2 * stdtr(self.degrees, -np.abs(self.t)))


class PermutationTest(NamedTuple):
    """A permutation test: p ``[...]``, the least p possible at this n, and whether all relabellings were taken."""

    p: FloatArray
    least_p: float
    exact: bool


def welch_t(a: FloatArray, b: FloatArray) -> TStatistic:
    """Return Welch's t statistic of two independent samples of two or more scores, ``[..., n_a]`` and ``[..., n_b]``.

    With the variances s^2 and d = s^2 / n of each sample::

        error^2 = d_a + d_b        degrees = (d_a + d_b)^2 / (d_a^2 / (n_a - 1) + d_b^2 / (n_b - 1))

    Source: Welch 1947, Biometrika 34.
    """
    n_a, n_b = a.shape[-1], b.shape[-1]
    error_a, error_b = _sum_of_squares(a) / (n_a * (n_a - 1)), _sum_of_squares(b) / (n_b * (n_b - 1))
    total = error_a + error_b
    share = error_a / np.where(total == 0, 1.0, total)  # of the squared error: avoids the square of a small number
    inverse = share**2 / (n_a - 1) + (1 - share) ** 2 / (n_b - 1)
    return without_rounding(a.mean(axis=-1) - b.mean(axis=-1), np.sqrt(total), 1 / inverse, a, b)


def paired_t(a: FloatArray, b: FloatArray) -> TStatistic:
    """Return the paired t statistic of two samples that are paired along the last axis, ``[..., n]`` each."""
    n = a.shape[-1]
    error = np.sqrt(_sum_of_squares(a - b) / (n * (n - 1)))
    return without_rounding(a.mean(axis=-1) - b.mean(axis=-1), error, np.full(error.shape, n - 1.0), a, b)


def permutation_test(
    a: FloatArray,
    b: FloatArray,
    draws: int = DRAWS,
    statistic: Callable[[FloatArray, FloatArray], TStatistic] = welch_t,
) -> PermutationTest:
    """Return the two-sided test of the t statistic over the splits of all scores into n_a and n_b.

    The samples are ``[..., n_a]`` and ``[..., n_b]``. The test is exact if both come from one distribution. It is
    asymptotically correct if only their means are equal, which the permutation of the plain difference is not. At equal
    n a split and its mirror image are equally extreme.

    Sources: Janssen 1997, "Studentized permutation tests for non-i.i.d. hypotheses and the generalized
    Behrens-Fisher problem"; Chung and Romano 2013, "Exact and asymptotically robust permutation tests".
    """
    n_a, n_b = a.shape[-1], b.shape[-1]
    first, second = _splits(n_a, n_b, draws)
    scores = np.concatenate([a, b], axis=-1)
    others = statistic(scores[..., first], scores[..., second])
    return _permutation_test(statistic(a, b), others, comb(n_a + n_b, n_a), mirrored=n_a == n_b)


def sign_flip_test(
    a: FloatArray,
    b: FloatArray,
    draws: int = DRAWS,
    statistic: Callable[[FloatArray, FloatArray], TStatistic] = paired_t,
) -> PermutationTest:
    """Return the two-sided test of the paired t statistic over all exchanges within pairs.

    The samples are ``[..., n]`` each. An exchange flips the sign of the pair's difference. The test is exact if the two
    scores of a pair are exchangeable, as independent seeds of one distribution are.

    Source: Fisher 1935, "The design of experiments", section 21.
    """
    flips = _flips(a.shape[-1], draws)
    one, other = a[..., None, :], b[..., None, :]
    others = statistic(np.where(flips, other, one), np.where(flips, one, other))
    return _permutation_test(statistic(a, b), others, 2 ** (a.shape[-1] - 1), mirrored=False)


def holm(p: ArrayLike) -> NDArray[np.float64]:
    """Return the p values ``[m]`` after Holm's correction, in their order.

    With the sorted p values p_1 <= ... <= p_m::

        adjusted_i = min(1, max over j <= i of (m - j + 1) p_j)

    The probability of any false rejection at level alpha is at most alpha, for any dependence of the tests. NaN marks a
    test that could not be made: it stays NaN and does not count.

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure". Raises ValueError if a p is outside
    [0, 1].
    """
    values = np.asarray(p, dtype=np.float64)
    if values.ndim != 1 or (values < 0).any() or (values > 1).any():
        raise ValueError("p values must be a vector of probabilities")
    order = np.argsort(values)[: np.count_nonzero(~np.isnan(values))]  # NaN is sorted to the end
    adjusted = np.full(values.shape, np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(values[order] * np.arange(order.size, 0, -1)), 1)
    return adjusted


def without_rounding(
    difference: FloatArray, error: FloatArray, degrees: FloatArray, a: FloatArray, b: FloatArray
) -> TStatistic:
    """Return the statistic of two samples with differences and errors below `ROUNDING` set to 0."""
    least = ROUNDING * np.maximum(np.abs(a).max(axis=-1), np.abs(b).max(axis=-1))
    difference, error = (np.where(np.abs(part) <= least, 0.0, part) for part in (difference, error))
    return TStatistic(difference, error, np.asarray(degrees))


def _sum_of_squares(sample: FloatArray) -> FloatArray:
    return np.asarray(((sample - sample.mean(axis=-1, keepdims=True)) ** 2).sum(axis=-1))


def _permutation_test(observed: TStatistic, others: TStatistic, possible: int, mirrored: bool) -> PermutationTest:
    extreme = np.abs(others.t) >= np.abs(observed.t)[..., None] * (1 - TIED) - TIED
    taken = extreme.shape[-1]
    if possible <= MAX_RELABELLINGS:
        return PermutationTest(np.asarray(extreme.mean(axis=-1)), (2 if mirrored else 1) / possible, True)
    return PermutationTest((extreme.sum(axis=-1) + 1) / (taken + 1), 1 / (taken + 1), False)


@lru_cache(maxsize=8)
def _splits(n_a: int, n_b: int, draws: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the indices of the first and of the second sample's scores: ``[splits, n_a]`` and ``[splits, n_b]``."""
    n = n_a + n_b
    if comb(n, n_a) > MAX_RELABELLINGS:
        order = np.random.default_rng(0).permuted(np.tile(np.arange(n), (draws, 1)), axis=1)
        return order[:, :n_a], order[:, n_a:]
    first = np.array(list(combinations(range(n), n_a)), dtype=np.intp)
    rest = np.ones((len(first), n), dtype=bool)
    np.put_along_axis(rest, first, False, axis=1)
    return first, np.nonzero(rest)[1].reshape(len(first), n_b)


@lru_cache(maxsize=8)
def _flips(n: int, draws: int) -> NDArray[np.bool_]:
    """Return which pairs are exchanged, ``[flips, n]``; never the first, since flipping all pairs changes nothing."""
    if 2 ** (n - 1) > MAX_RELABELLINGS:
        return np.random.default_rng(0).integers(2, size=(draws, n)).astype(bool)
    return np.array([(False, *rest) for rest in product((False, True), repeat=n - 1)])
