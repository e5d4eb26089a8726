"""Effect sizes: a difference of means in units of deviations."""

import numpy as np

from pgexp.statistics.estimates import FloatArray


def hedges_g(a: FloatArray, b: FloatArray) -> float | None:
    """Return Hedges' g of two independent samples ``[n_a]`` and ``[n_b]``; None where nothing varies, or below n = 2.

    With s the pooled deviation, m = n_a + n_b - 2 degrees of freedom and J the factor that makes it unbiased
    on normal scores::

        g = J(m) (mean a - mean b) / s        J(m) = Gamma(m / 2) / (sqrt(m / 2) Gamma((m - 1) / 2))

    Source: Hedges 1981, "Distribution theory for Glass's estimator of effect size", equations 6a and 6e.
    """
    from scipy.special import gammaln

    degrees = a.size + b.size - 2
    if min(a.size, b.size) < 2 or np.ptp(a) == np.ptp(b) == 0:
        return None
    pooled = np.sqrt(((a.size - 1) * a.var(ddof=1) + (b.size - 1) * b.var(ddof=1)) / degrees)
    unbiased = np.exp(gammaln(degrees / 2) - gammaln((degrees - 1) / 2)) / np.sqrt(degrees / 2)
    return float(unbiased * (a.mean() - b.mean()) / pooled)


def standardised_difference(a: FloatArray, b: FloatArray) -> float | None:
    """Return d_z of two paired samples ``[n]``: the mean of the pairs' differences over their deviation.

    None where the differences do not vary, or for a single pair. It is the paired t statistic over sqrt(n).

    Source: Cohen 1988, "Statistical power analysis for the behavioral sciences", section 2.3.5.
    """
    differences = a - b
    if differences.size < 2 or np.ptp(differences) == 0:
        return None
    return float(differences.mean() / differences.std(ddof=1))
