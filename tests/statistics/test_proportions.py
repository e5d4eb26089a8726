import numpy as np
import pytest
from scipy import stats

from pgexp.statistics.proportions import proportion_interval


@pytest.mark.parametrize("n", [1, 5, 20, 400])
@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
def test_agrees_with_scipy(n: int, level: float) -> None:
    for successes in {0, 1, n // 3, n - 1, n}:
        theirs = stats.binomtest(successes, n).proportion_ci(level, method="exact")
        assert proportion_interval(successes, n, level) == pytest.approx((theirs.low, theirs.high), rel=1e-9, abs=1e-12)


def test_none_of_n_has_a_closed_form() -> None:
    # (1 - p)^10 = .025
    assert proportion_interval(0, 10) == pytest.approx((0, 1 - 0.025**0.1))
    assert proportion_interval(10, 10) == pytest.approx((0.025**0.1, 1))


@pytest.mark.parametrize("n", [3, 10])
def test_holds_at_every_probability(n: int) -> None:
    # By summing the binomial over the counts whose interval holds p: no simulation, hence no error.
    intervals = np.array([proportion_interval(successes, n) for successes in range(n + 1)])
    for p in np.linspace(0.005, 0.995, 199):
        holds = (intervals[:, 0] <= p) & (p <= intervals[:, 1])
        assert stats.binom.pmf(np.arange(n + 1), n, p)[holds].sum() >= 0.95


@pytest.mark.parametrize(("successes", "n"), [(-1, 5), (6, 5), (0, 0)])
def test_refuses_counts_that_are_none(successes: int, n: int) -> None:
    with pytest.raises(ValueError, match="0 to n successes"):
        proportion_interval(successes, n)


def test_refuses_a_level_that_is_no_probability() -> None:
    with pytest.raises(ValueError, match="strictly between"):
        proportion_interval(1, 2, 95)
