"""Power against published sample sizes and quadrature."""

import math

import pytest
from scipy import integrate, stats

from pgexp.statistics.power import detectable_effect, required_seeds, t_test_power


# Cohen 1988, table 2.4.1 (two-sided .05, power .80), where exact calculations give the same.
@pytest.mark.parametrize(("effect", "seeds"), [(0.2, 394), (0.5, 64), (0.8, 26), (1, 17), (2, 6)])
def test_required_seeds_agree_with_cohen(effect: float, seeds: int) -> None:
    assert required_seeds(effect) == required_seeds(-effect) == seeds


@pytest.mark.parametrize(("effect", "pairs"), [(0.2, 199), (0.5, 34), (0.8, 15)])
def test_required_pairs_agree_with_gpower(effect: float, pairs: int) -> None:
    # Faul et al. 2007, G*Power 3, for the paired t test.
    assert required_seeds(effect, paired=True) == pairs


@pytest.mark.parametrize(("effect", "n", "paired"), [(0.5, 10, False), (1, 5, False), (1, 5, True), (3, 2, False)])
def test_power_agrees_with_quadrature(effect: float, n: int, paired: bool) -> None:
    # Given the estimated deviation u, in true ones, t is normal: m u^2 has the chi-squared distribution.
    m, shift = (n - 1, effect * math.sqrt(n)) if paired else (2 * n - 2, effect * math.sqrt(n / 2))
    t = stats.t.ppf(0.975, m)

    def rejecting(u: float) -> float:
        normal = stats.norm.sf(t * u - shift) + stats.norm.cdf(-t * u - shift)
        return float(normal * stats.chi2.pdf(m * u * u, m) * 2 * m * u)

    assert t_test_power(effect, n, paired=paired) == pytest.approx(integrate.quad(rejecting, 0, 20)[0], abs=1e-7)


def test_power_without_an_effect_is_the_size() -> None:
    assert t_test_power(0, 5) == pytest.approx(0.05)
    assert t_test_power(0, 5, level=0.9, paired=True) == pytest.approx(0.1)


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("n", [2, 5, 30])
def test_detectable_effect_inverts_required_seeds(n: int, paired: bool) -> None:
    effect = detectable_effect(n, paired=paired)
    assert t_test_power(effect, n, paired=paired) == pytest.approx(0.8)
    assert required_seeds(effect * 1.0001, paired=paired) == n


def test_two_seeds_may_suffice() -> None:
    assert required_seeds(1e4) == 2


def test_an_effect_of_zero_is_rejected() -> None:
    with pytest.raises(ValueError, match="an effect of 0 needs more than 10000000 seeds"):
        required_seeds(0)


@pytest.mark.parametrize(("power", "level"), [(0.04, 0.95), (1, 0.95), (0.8, 1), (0.8, 0)])
def test_bad_powers_levels_and_seeds_are_rejected(power: float, level: float) -> None:
    with pytest.raises(ValueError, match="power must be between"):
        required_seeds(1, power, level)
    with pytest.raises(ValueError, match="power must be between"):
        detectable_effect(5, power, level)
    with pytest.raises(ValueError, match="two or more seeds"):
        t_test_power(1, 1)
    with pytest.raises(ValueError, match="strictly between 0 and 1"):
        t_test_power(1, 5, level=1)
