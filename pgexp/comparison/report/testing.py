"""The tests of a comparison in words: which they are, why, over how many they are corrected, and what they can show."""

from collections.abc import Iterator
from typing import Final

import pandas as pd

from pgexp.comparison.report.numbers import probability

POWER: Final = 0.8
WHY: Final = {
    True: "Seeds are paired: both configurations ran the same ones, and a seed fixes initialisation, environments and "
    "actions, so the test is of the differences seed by seed.",
    False: "Seeds are not paired: the two configurations share too few.",
}


def words_on_tests(differences: pd.DataFrame) -> list[str]:
    """Return paragraphs on the tests behind the frame of `differences`."""
    if differences.empty:
        return ["Nothing is compared: no two configurations of one environment have a score."]
    parts = (_tests(differences), _correction(differences), _power(differences), _caveats(differences))
    return [" ".join(part) for part in map(list, parts) if part]


def _tests(differences: pd.DataFrame) -> Iterator[str]:
    """Yield which test each pair was put to, and why seeds are paired or not."""
    for (test, paired), rows in differences.groupby(["test", "paired"], sort=False):
        of = "" if len(rows) == len(differences) else f" ({len(rows)} of {len(differences)} differences)"
        yield f"Test of the difference in the mean final return: {test or 'none'}{of}. {WHY[bool(paired)]}"
    yield "Intervals are 95 % and belong to the single difference, not corrected for their number."


def _correction(differences: pd.DataFrame) -> Iterator[str]:
    for environment, rows in differences.groupby("environment", sort=False, observed=True):
        family, tested = int(rows["family"].max()), int(rows["p"].notna().sum())
        if family == 0:
            continue
        if family == 1:
            yield f"On {environment} there is one test, which needs no correction."
            continue
        shown = "" if family == tested else f"; of these, {tested} are shown, since the scores chose the reference"
        yield f"On {environment}, p (Holm) is corrected for {family} tests by the method of Holm 1979{shown}."


def _power(differences: pd.DataFrame) -> Iterator[str]:
    """Yield what the comparison with the fewest seeds could show, and what a standard deviation takes."""
    from pgexp.statistics.power import detectable_effect, seeds_for

    for paired in map(bool, differences["paired"].unique()):
        rows = differences[differences["paired"] == paired]
        n = int(rows[["n", "n_reference"]].to_numpy().min())
        if n < 2:
            continue
        unit, deviation = ("pairs", "of the differences") if paired else ("seeds each", "of the scores")
        least, one = detectable_effect(n, POWER, paired=paired), seeds_for(1.0, POWER, paired=paired)
        yield (
            f"With {n} {unit}, an uncorrected test shows a difference of {least:.1f} standard deviations ({deviation}) "
            f"with power {probability(POWER, 1)}; a difference of one standard deviation takes {one} {unit}."
        )


def _caveats(differences: pd.DataFrame) -> Iterator[str]:
    yield from dict.fromkeys(str(caveat) for caveat in differences["caveat"] if caveat)
