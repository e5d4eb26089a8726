"""What a comparison of two configurations says, in words."""

from typing import Final

from pgexp.statistics.comparing import Difference
from pgexp.statistics.digits import written
from pgexp.statistics.power import detectable_effect, seeds_for

POWER: Final = 0.8


def verdict(difference: Difference, a: str, b: str, p: float | None = None, family: int = 1) -> str:
    """Return in a sentence whether configuration a is told apart from b, and by how much, or what would tell it.

    p is the difference's own, or with a family of several tests the one that Holm's method makes of it. What is told
    apart is "better" or "worse": more return is better. The seeds that it would take are counted at level / family,
    which Holm's method asks of the least p of the family: they suffice whatever the other tests say.
    """
    p = difference.p if p is None else p
    if p is None:
        return f"{a} and {b} can't be compared at {_seeds(difference)}: train two seeds of each or more"
    test = f" ({p_written(p)}{f', Holm over {family}' if family > 1 else ''})"
    if p > 1 - difference.level:
        n = min(difference.n_a, difference.n_b)
        tell = needed(n, difference.paired, family, difference.level)
        return f"{a} is not distinguishable from {b} at {_seeds(difference)}{test}: {tell}"
    sign, direction = (1, "better") if difference.difference > 0 else (-1, "worse")
    return f"{a} is {direction} than {b} by {_amount(difference, sign)}{test}"


def needed(n: int, paired: bool, family: int = 1, level: float = 0.95) -> str:
    """Return how many seeds would show a difference of one deviation, or what the n at hand show.

    They are counted at (1 - level) / family, as `verdict` says.
    """
    level = 1 - (1 - level) / family
    enough = seeds_for(1, POWER, level, paired)
    unit = "one standard deviation of the differences" if paired else "one standard deviation"
    power = f"power {POWER:g}".replace("0.", ".")
    if n < enough:
        return f"{enough} {'pairs of seeds' if paired else 'seeds'} would show a difference of {unit} with {power}"
    least = f"{detectable_effect(n, POWER, level, paired):.2g}".removeprefix("0")
    unit = "standard deviations of the differences" if paired else "standard deviations"
    return f"so many show a difference of {least} {unit} with {power}"


def p_written(p: float) -> str:
    """Return a p value as it is written: p = .34, p = .034, p = .0034, p < .0001; on its own side of .05."""
    if p < 1e-4:
        return "p < .0001"
    if p > 0.9999:
        return "p = 1"
    digits = next(digits for digits in range(2, 18) if _tells(p, round(p, digits)))
    return f"p = {p:.{digits}f}".replace("0.", ".", 1)


def _tells(p: float, rounded: float) -> bool:
    """Return whether a rounded p has two digits or more of p, and stands on its side of .05."""
    return abs(rounded - p) <= 0.05 * p and (rounded > 0.05) == (p > 0.05) and (rounded < 1)


def _seeds(difference: Difference) -> str:
    """Return the number of seeds: n = 5, n = 5 pairs, n = 5 and 4."""
    if difference.paired:
        return f"n = {difference.n_a} pairs"
    return f"n = {difference.n_a}" + (f" and {difference.n_b}" if difference.n_a != difference.n_b else "")


def _amount(difference: Difference, sign: int) -> str:
    """Return the difference as a positive number, with its interval."""
    amount = written(sign * difference.difference)
    if difference.low is None or difference.high is None:
        return amount
    low, high = sorted((sign * difference.low, sign * difference.high))
    return f"{amount} [{written(low)}, {written(high)}]"
