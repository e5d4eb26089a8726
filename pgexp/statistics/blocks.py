"""The mean over several configurations whose seeds are blocks: equal seeds share their luck in all of them."""

import numpy as np
from numpy.typing import ArrayLike

from pgexp.statistics.intervals import FloatArray, Interval, check_level


def mean_of_rows(scores: ArrayLike) -> float:
    """Return the mean of the rows' means of scores ``[rows, blocks]``, NaN where a row has no score of a block.

    Each row counts alike, however many scores it has. ValueError where a row has none, or one that is infinite.
    """
    return float(_means(_checked(scores)).mean())


def block_interval(scores: ArrayLike, level: float = 0.95) -> Interval | None:
    """Return the interval of `mean_of_rows`, whose blocks alone are independent; None where a row has one score only.

    With y_rs the score of row r in block s, m_r the row's mean of its n_r scores, and K rows::

        e_s = (1 / K) sum_r sqrt(n_r / (n_r - 1)) (y_rs - m_r) / n_r        over the rows that have a score of s
        mean -+ t sqrt(sum_s e_s^2),    t with min_r n_r - 1 degrees of freedom

    Where every row has every block, that is Student's interval of the blocks' averages, exact for normal ones: what a
    lucky seed adds to all configurations is not taken for K independent observations of luck. Where no block is in
    two rows, the variance is that of a mean of independent means, and the interval is on the safe side.

    Source: Bell & McCaffrey 2002, "Bias reduction in standard errors for linear regression with multi-stage samples",
    whose correction this is, with the rows for regressors and the blocks for clusters. ValueError as `mean_of_rows`,
    and for a level outside (0, 1).
    """
    from scipy.special import stdtrit

    table = _checked(scores)
    check_level(level)
    counts = np.isfinite(table).sum(axis=1, keepdims=True)
    if counts.min() < 2:
        return None
    means = _means(table)
    weights = np.sqrt(counts / (counts - 1)) / counts / len(table)
    errors = np.nansum((table - means[:, None]) * weights, axis=0)
    reach = stdtrit(counts.min() - 1, (1 + level) / 2) * np.sqrt(np.square(errors).sum())
    return Interval(float(means.mean() - reach), float(means.mean() + reach))


def resampled_means(scores: ArrayLike, resamples: int, seed: int) -> FloatArray:
    """Return the rows' means in samples of as many blocks, drawn with replacement: ``[resamples, rows]``.

    scores are as those of `mean_of_rows`. A row that has no score in a sample has the mean of all its scores there.
    """
    table = _checked(scores)
    blocks = table.shape[1]
    drawn = np.random.default_rng(seed).multinomial(blocks, np.full(blocks, 1 / blocks), size=resamples)
    there = np.isfinite(table)
    counts = drawn @ there.T
    sums = drawn @ np.where(there, table, 0.0).T
    means: FloatArray = np.where(counts > 0, sums / np.maximum(counts, 1), _means(table))
    return means


def _means(table: FloatArray) -> FloatArray:
    return np.asarray(np.nanmean(table, axis=1))


def _checked(scores: ArrayLike) -> FloatArray:
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim != 2 or table.size == 0 or np.isinf(table).any() or np.isnan(table).all(axis=1).any():
        raise ValueError("rows of scores are wanted, each with one or more, and none infinite")
    return table
