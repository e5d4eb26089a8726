"""Shares of runs: how many failed, collapsed or reached a threshold, with an exact interval."""

from pgexp.statistics.intervals import Interval, check_level


def proportion_interval(successes: int, n: int, level: float = 0.95) -> Interval:
    """Return the exact interval of Clopper and Pearson of a probability, from so many successes in n runs.

    Its ends are the probabilities at which as many successes or more, and as many or fewer, have the probability
    (1 - level) / 2 each::

        low = B(alpha / 2; s, n - s + 1)    high = B(1 - alpha / 2; s + 1, n - s)

    B is the quantile function of the beta distribution; low is 0 with no success, high is 1 with n. It holds the
    truth at least as often as `level` says, at every probability. None of 10 runs failed is compatible with up to
    31 % that fail.

    Source: Clopper and Pearson 1934, Biometrika 26, 404-413. ValueError for counts other than 0 <= successes <= n with
    n >= 1, and for a level outside (0, 1).
    """
    check_level(level)
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"a proportion is of 0 to n successes in n >= 1 runs, not of {successes} in {n}")
    return beta_interval(successes, n, level)


def beta_interval(successes: float, n: float, level: float) -> Interval:
    """Return the interval of `proportion_interval`, for counts that need not be whole."""
    from scipy.special import betaincinv

    tail = (1 - level) / 2
    low = betaincinv(successes, n - successes + 1, tail) if successes > 0 else 0.0
    high = betaincinv(successes + 1, n - successes, 1 - tail) if successes < n else 1.0
    return Interval(float(low), float(high))
