"""Power of the t test, required numbers of seeds and detectable effects.

An effect is a difference of means in deviations of the scores (paired: of the differences of pairs). The numbers are
those of the two-sided t test on normal scores of equal variance, exact by the noncentral t distribution. Welch's test,
which does not assume equal variances, has .02 less power at n = 5, and .005 less at n = 10.

Source: Cohen 1988, "Statistical power analysis for the behavioral sciences", chapter 2.
"""

from typing import Final

from pgexp.statistics.intervals import check_level

MAX_SEEDS: Final = 10**7


def t_test_power(effect: float, n: int, level: float = 0.95, paired: bool = False) -> float:
    """Return the power of the t test with n >= 2 seeds per configuration (paired: n pairs).

    With T noncentral t with m degrees of freedom, whose square is noncentral F with 1 and m, and the (1 + level) / 2
    quantile t of the central distribution::

        P(abs(T) > t)        unpaired: m = 2 n - 2, noncentrality effect sqrt(n / 2)
                             paired:   m = n - 1,   noncentrality effect sqrt(n)

    Raises ValueError below two seeds, and for a level outside (0, 1).
    """
    from scipy.special import ncfdtr, stdtrit

    if n < 2:
        raise ValueError(f"a test needs two or more seeds (got {n})")
    check_level(level)
    degrees, shift = (n - 1, effect**2 * n) if paired else (2 * n - 2, effect**2 * n / 2)
    reach = float(stdtrit(degrees, (1 + level) / 2))
    return float(1 - ncfdtr(1, degrees, shift, reach**2))


def required_seeds(effect: float, power: float = 0.8, level: float = 0.95, paired: bool = False) -> int:
    """Return the least number of seeds per configuration (paired: of pairs) that detects an effect with this power.

    64 for an effect of .5, 17 for 1 and 6 for 2, unpaired. Raises ValueError if the effect needs more than `MAX_SEEDS`
    seeds, and if the power is not between 1 - level and 1.
    """
    _check(power, level)
    low, high = 1, 2  # low is too few; high becomes enough
    while t_test_power(effect, high, level, paired) < power:
        if high > MAX_SEEDS:
            raise ValueError(f"an effect of {effect:g} needs more than {MAX_SEEDS} seeds")
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        enough = t_test_power(effect, middle, level, paired) >= power
        low, high = (low, middle) if enough else (middle, high)
    return high


def detectable_effect(n: int, power: float = 0.8, level: float = 0.95, paired: bool = False) -> float:
    """Return the least effect that n seeds per configuration (paired: n pairs) detect with this power.

    Raises ValueError below two seeds, and if the power is not between 1 - level and 1.
    """
    from scipy.optimize import brentq

    _check(power, level)
    high = 1.0
    while t_test_power(high, n, level, paired) < power:
        high *= 2
    return float(brentq(lambda effect: t_test_power(effect, n, level, paired) - power, 0, high, xtol=1e-9))


def _check(power: float, level: float) -> None:
    if not 0 < 1 - level < power < 1:
        raise ValueError(f"power must be between 1 - level and 1, level between 0 and 1 (got {power} and {level})")
