"""Yuen's tests of analysis/error_rates against SciPy and a published example."""

import numpy as np
import pytest
from scipy import stats

from analysis.error_rates.yuen import paired_yuen_t, yuen_t

# Weights of 17 girls before and after family therapy (Hand et al. 1994, "A handbook of small data sets", anorexia).
BEFORE = [83.8, 83.3, 86.0, 82.5, 86.7, 79.6, 76.9, 94.2, 73.4, 80.5, 81.6, 82.1, 77.6, 83.5, 89.9, 86.0, 87.3]
AFTER = [95.2, 94.3, 91.5, 91.9, 100.3, 76.7, 76.8, 101.6, 94.9, 75.2, 77.8, 95.5, 90.7, 92.5, 93.8, 91.7, 98.0]


@pytest.mark.parametrize("trim", [0, 0.25])
@pytest.mark.parametrize(("n_a", "n_b"), [(2, 2), (3, 7), (5, 5), (9, 20)])
def test_yuen_t_agrees_with_scipy(n_a: int, n_b: int, trim: float) -> None:
    generator = np.random.default_rng(n_a)
    a, b = generator.lognormal(size=n_a), generator.normal(size=n_b)
    ours, theirs = yuen_t(a, b, trim), stats.ttest_ind(a, b, equal_var=False, trim=trim)
    assert (float(ours.t), float(ours.p)) == pytest.approx((theirs.statistic, theirs.pvalue), rel=1e-9)


def test_paired_yuen_t_agrees_with_a_published_example() -> None:
    # Mair and Wilcox 2020, "Robust statistical methods in R using the WRS2 package", the function yuend, trim .2.
    ours = paired_yuen_t(np.array(BEFORE), np.array(AFTER), 0.2)
    assert float(ours.difference) == pytest.approx(-8.56364, abs=5e-6)
    assert (float(ours.t), float(ours.degrees)) == (pytest.approx(-3.829, abs=5e-4), 10)
    assert float(ours.p) == pytest.approx(0.00332, abs=5e-6)
