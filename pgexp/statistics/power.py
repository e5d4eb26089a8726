"""How many seeds show a difference, and what difference the seeds at hand could show.

An effect is a difference of means in deviations of the scores (paired: of the differences of pairs). The numbers are
those of the two-sided t test on normal scores of equal variance, exact by the noncentral t distribution; Welch's test,
which does not take the variances to be equal, has .02 less power at n = 5, and .005 less at n = 10.

Source: Cohen 1988, "Statistical power analysis for the behavioral sciences", chapter 2.
"""

from typing import Final

from pgexp.statistics.intervals import check_level

MOST_SEEDS: Final = 10**7


def attained_power(effect: float, n: int, level: float = 0.95, paired: bool = False) -> float:
    """Return how often the t test shows an effect with n >= 2 seeds of each configuration (paired: n pairs).

    With T the noncentral t with m degrees of freedom, whose square is noncentral F with 1 and m, and t the
    (1 + level) / 2 quantile of the central one::

        P(abs(T) > t)        unpaired: m = 2 n - 2, noncentrality effect sqrt(n / 2)
                             paired:   m = n - 1,   noncentrality effect sqrt(n)

    ValueError below two seeds, and for a level outside (0, 1).
    """
    from scipy.special import ncfdtr, stdtrit

    if n < 2:
        raise ValueError(f"a test takes two seeds or more, not {n}")
    check_level(level)
    degrees, shift = (n - 1, effect**2 * n) if paired else (2 * n - 2, effect**2 * n / 2)
    reach = float(stdtrit(degrees, (1 + level) / 2))
    return float(1 - ncfdtr(1, degrees, shift, reach**2))


def seeds_for(effect: float, power: float = 0.8, level: float = 0.95, paired: bool = False) -> int:
    """Return the least number of seeds of each configuration (paired: of pairs) that shows an effect with such power.

    64 for an effect of .5, 17 for 1 and 6 for 2, where seeds are not paired. ValueError for no effect, for one so
    small that it takes over `MOST_SEEDS` seeds, and for a power that is not between 1 - level and 1.
    """
    _check(power, level)
    low, high = 1, 2  # too few, as one seed is; and, once found, enough
    while attained_power(effect, high, level, paired) < power:
        if high > MOST_SEEDS:
            raise ValueError(f"an effect of {effect:g} takes more than {MOST_SEEDS} seeds")
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        enough = attained_power(effect, middle, level, paired) >= power
        low, high = (low, middle) if enough else (middle, high)
    return high


def detectable_effect(n: int, power: float = 0.8, level: float = 0.95, paired: bool = False) -> float:
    """Return the least effect that n seeds of each configuration (paired: n pairs) show with such power.

    ValueError below two seeds, and for a power that is not between 1 - level and 1.
    """
    from scipy.optimize import brentq

    _check(power, level)
    high = 1.0
    while attained_power(high, n, level, paired) < power:
        high *= 2
    return float(brentq(lambda effect: attained_power(effect, n, level, paired) - power, 0, high, xtol=1e-9))


def _check(power: float, level: float) -> None:
    if not 0 < 1 - level < power < 1:
        raise ValueError(f"power lies between 1 - level and 1, and level between 0 and 1: not {power} and {level}")
