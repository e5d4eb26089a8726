"""Pairwise differences of configurations on one environment, with tests and verdicts in words."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from itertools import combinations
from math import comb
from typing import Any, Final

import numpy as np
import pandas as pd

from pgexp.comparison.across_environments import names_without_environment
from pgexp.comparison.inclusion import exclusion_reasons, imputed_scores
from pgexp.schema import names
from pgexp.schema.errors import UserError
from pgexp.statistics.differences import Difference, compare_means
from pgexp.statistics.number_format import format_number
from pgexp.statistics.point_estimates import interquartile_mean
from pgexp.statistics.power import detectable_effect, required_seeds
from pgexp.statistics.two_sample_tests import holm

COLUMNS: Final = (
    *("environment", "configuration_name", "reference", "n", "n_reference", "paired"),
    *("estimate", "difference", "low", "high", "p", "p_holm", "family"),
    *("p_permutation", "p_permutation_holm", "least_p", "effect_size"),
    *("improvement", "improvement_low", "improvement_high", "test", "verdict", "caveat"),
)
ALL_PAIRS: Final = 4  # up to this number of configurations all pairs are compared
MAX_LISTED: Final = 5  # pairs that a note lists by name
ALPHA: Final = 0.05  # significance level of verdicts
POWER: Final = 0.8

Scores = dict[str, "pd.Series[float]"]
"""The finite scores of each configuration of one environment, by seed."""


def differences(runs: pd.DataFrame, reference: str | None = None) -> pd.DataFrame:
    """Return a row per pair of configurations that share an environment, COLUMNS, with the least p first.

    runs are those of `frames.runs`. With a `reference`, by its name or its name without the environment, each
    configuration is compared with it. Without one, all pairs of up to four configurations are compared; of more,
    each is compared with the one that has the best interquartile mean, preferably with two seeds or more. The
    difference is the configuration's mean minus the reference's (`compare_means`). p_holm is Holm's correction for the
    `family`, the tests of an environment. If the scores chose the reference, the family is all pairs that they could
    have chosen, k (k - 1) / 2. With a correction for the k - 1 pairs shown, the best of ten equally good configurations
    differs significantly from another in 13 % of experiments (20 seeds, normal scores), and the best of thirty in 20 %
    (10 seeds); with this family in 3 and 2 % (analysis/error_rates). A pair with one seed on a side cannot be tested
    and is not in the family.

    Seeds are paired (a seed fixes initialisation, environments and actions of every configuration) if at least half of
    either side's seeds, and at least two, are also on the other side; n is then the number of pairs. Otherwise all
    seeds are compared unpaired. A configuration without a score is in no pair. Failed seeds have no score: verdict and
    caveat say so, since the remaining seeds may look too good. Raises UserError if the reference is unknown.
    """
    scored = runs[exclusion_reasons(runs) == ""]
    short_names, failed = names_without_environment(runs), _failed_seeds(runs)
    rows: list[dict[str, Any]] = []
    for environment, own in runs.groupby("environment", sort=False):
        finite = scored[(scored["environment"] == environment) & np.isfinite(scored[names.FINAL_RETURN])]
        by_seed = finite.set_index("seed").groupby("configuration_name", sort=False, observed=True)
        scores: Scores = {str(name): seeds[names.FINAL_RETURN] for name, seeds in by_seed}
        known = own["configuration_name"].unique()
        chosen = None
        if reference is not None:
            chosen = next((name for name in known if reference in (name, short_names[name])), "")
        pairs, family = _pairs(scores, chosen)
        tested = sorted(_rows(scores, pairs, family), key=lambda row: np.inf if row["p"] is None else row["p"])
        rows += [{"environment": environment, **_with_failures(row, failed)} for row in tested]
    if reference is not None and reference not in (*short_names, *short_names.index):
        nearest = get_close_matches(reference, list(dict.fromkeys([*short_names, *short_names.index])), n=3, cutoff=0)
        raise UserError.at("--reference", f"unknown configuration {reference!r}. Did you mean {', '.join(nearest)}?")
    counts: dict[str, Any] = dict.fromkeys(("n", "n_reference", "family"), "Int64")
    texts = ("environment", "configuration_name", "reference", "paired", "estimate", "test", "verdict", "caveat")
    numbers = [name for name in COLUMNS if name not in (*counts, *texts)]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(counts | dict.fromkeys(numbers, float))


def difference_notes(differences: pd.DataFrame, runs: pd.DataFrame, reference: str | None = None) -> list[str]:
    """Return notes on the pairing of seeds, missing references, and the choice of the reference."""
    counts = runs[exclusion_reasons(runs) == ""].groupby("configuration_name")["seed"].nunique()
    totals = [differences[name].map(counts) for name in ("configuration_name", "reference")]
    paired = differences["paired"].astype(bool)
    short = paired & ((totals[0] > differences["n"]) | (totals[1] > differences["n"]))
    kinds = {
        "Compared over their common seeds": short,
        "Compared without pairing, since they have too few common seeds": ~paired,
    }
    notes = [f"{text}: {_list_pairs(differences[rows])}." for text, rows in kinds.items() if rows.any()]
    for environment, own in runs.groupby("environment", sort=False):
        if own["configuration_name"].nunique() > 1:
            pairs = differences[differences["environment"] == environment]
            notes += _reference_notes(pairs, environment, reference)
    return notes


def holm_in_family(p: Sequence[float | None], family: int) -> list[float]:
    """Return p values after Holm's correction for a family of tests, of which some are not in p.

    The missing ones count as p = 1, which makes the correction conservative.
    """
    known = np.array([np.nan if value is None else value for value in p], dtype=float)
    others = np.ones(family - np.count_nonzero(~np.isnan(known)))
    adjusted: list[float] = holm(np.concatenate([known, others]))[: len(p)].tolist()
    return adjusted


def verdict(difference: Difference, a: str, b: str, p: float | None = None, family: int = 1) -> str:
    """Return a sentence that says whether configuration a differs from b and by how much, or what would show it.

    p is the p value after Holm's correction for a family of tests, by default the difference's own. A significant
    difference is "better" or "worse": more return is better. Required seeds are those at level / family, which Holm's
    method demands of the least p of the family, so that they suffice for any results of the other tests.
    """
    p = difference.p if p is None else p
    n = f"n = {difference.n_a}" + (f" and {difference.n_b}" if difference.n_a != difference.n_b else "")
    n += " pairs" * difference.paired
    if p is None:
        return f"{a} and {b} cannot be compared at {n}: train two or more seeds of each"
    test = f" ({format_p(p)}{f', Holm over {family}' if family > 1 else ''})"
    if p > 1 - difference.level:
        hint = seeds_hint(min(difference.n_a, difference.n_b), difference.paired, family, difference.level)
        return f"{a} is not distinguishable from {b} at {n}{test}: {hint}"
    sign, direction = (1, "better") if difference.difference > 0 else (-1, "worse")
    amount = format_number(sign * difference.difference)
    if difference.low is not None and difference.high is not None:
        low, high = sorted((sign * difference.low, sign * difference.high))
        amount += f" [{format_number(low)}, {format_number(high)}]"
    return f"{a} is {direction} than {b} by {amount}{test}"


def seeds_hint(n: int, paired: bool, family: int = 1, level: float = 0.95) -> str:
    """Return how many seeds detect a difference of one deviation, or which difference n seeds detect.

    Both are at (1 - level) / family, as in `verdict`.
    """
    level = 1 - (1 - level) / family
    enough = required_seeds(1, POWER, level, paired)
    of = " of the differences" if paired else ""
    power = f"power {POWER:g}".replace("0.", ".")
    if n < enough:
        seeds = "pairs of seeds" if paired else "seeds"
        return f"{enough} {seeds} would detect a difference of one standard deviation{of} with {power}"
    least = f"{detectable_effect(n, POWER, level, paired):.2g}".removeprefix("0")
    return f"this number detects a difference of {least} standard deviations{of} with {power}"


def format_p(p: float) -> str:
    """Return a p value as text: p = .34, p = .034, p = .0034, p < .0001; rounding never crosses .05."""
    if p < 1e-4:
        return "p < .0001"
    if p > 0.9999:
        return "p = 1"
    for digits in range(2, 18):
        rounded = round(p, digits)
        if abs(rounded - p) <= 0.05 * p and (rounded > ALPHA) == (p > ALPHA) and rounded < 1:
            break
    return f"p = {p:.{digits}f}".replace("0.", ".", 1)


def _pairs(scores: Scores, chosen: str | None) -> tuple[list[tuple[str, str]], int]:
    """Return the pairs to compare, each (configuration, reference), and the size of their family of tests."""
    every = [(b, a) for a, b in combinations(scores, 2)]
    testable = [name for name, own in scores.items() if len(own) > 1]
    family = comb(len(testable), 2)
    if chosen is None and len(scores) <= ALL_PAIRS:
        return every, family
    best = chosen
    if best is None:
        best = max(testable or scores, key=lambda name: float(interquartile_mean(scores[name])))
    pairs = [(name, best) for name in scores if name != best] if best in scores else []
    return pairs, family if chosen is None else len({*testable} - {best}) * (best in testable)


def _rows(scores: Scores, pairs: Sequence[tuple[str, str]], family: int) -> Iterator[dict[str, Any]]:
    found = [_compare(scores[a], scores[b]) for a, b in pairs]
    adjusted = holm_in_family([one.p for one in found], family)
    permuted = holm_in_family([one.p_permutation for one in found], family)
    for (a, b), one, p, p_permutation in zip(pairs, found, adjusted, permuted, strict=True):
        yield {
            **{name: getattr(one, name) for name in COLUMNS if hasattr(one, name)},
            "configuration_name": a,
            "reference": b,
            "n": one.n_a,
            "n_reference": one.n_b,
            "estimate": "mean",
            "p_holm": p,
            "p_permutation_holm": p_permutation,
            "family": family,
            "verdict": verdict(one, a, b, None if np.isnan(p) else p, family),
        }


def _compare(a: "pd.Series[float]", b: "pd.Series[float]") -> Difference:
    common = a.index.intersection(b.index)
    paired = len(common) >= max(2, len(a) / 2, len(b) / 2)
    x, y = (side.loc[common].to_numpy() if paired else side.to_numpy() for side in (a, b))
    return compare_means(x, y, paired)


def _failed_seeds(runs: pd.DataFrame) -> Mapping[str, int]:
    """Return the number of failed seeds of each configuration that has some."""
    rows = imputed_scores(runs)
    counts = rows[rows["failed"]].groupby("configuration_name", sort=False, observed=True).size()
    return {str(name): int(count) for name, count in counts.items()}


def _with_failures(row: dict[str, Any], failed: Mapping[str, int]) -> dict[str, Any]:
    """Return the row with the number of failed seeds of both configurations in verdict and caveat."""
    lost = [f"{failed[name]} of {name}" for name in (row["configuration_name"], row["reference"]) if name in failed]
    if not lost:
        return row
    head, colon, hint = row["verdict"].rpartition(": ")
    excluded = f", without failed seeds ({', '.join(lost)})"
    text = f"{head}{excluded}: {hint}" if colon else hint + excluded
    caveat = f"{row['caveat']} Failed seeds are excluded: {', '.join(lost)}.".strip()
    return row | {"verdict": text, "caveat": caveat}


def _reference_notes(pairs: pd.DataFrame, environment: object, reference: str | None) -> list[str]:
    if reference is not None:
        return [f"No comparison on {environment}, since {reference} has no score there."] if pairs.empty else []
    if len(pairs) < ALL_PAIRS or pairs["reference"].nunique() > 1:
        return []
    best, family = pairs["reference"].iloc[0], pairs["family"].iloc[0]
    some = " of those with two seeds or more" if family and (pairs["n"] == 1).any() else ""
    return [
        f"Compared with {best}, which has the best IQM on {environment}{some}. Since these scores chose it, Holm's "
        f"correction is for all {family} pairs (--reference sets another)."
    ]


def _list_pairs(pairs: pd.DataFrame) -> str:
    listed = [f"{a} and {b}" for a, b in zip(pairs["configuration_name"], pairs["reference"], strict=True)]
    more = f", and {len(listed) - MAX_LISTED} more pairs" if len(listed) > MAX_LISTED else ""
    return ", ".join(listed[:MAX_LISTED]) + more
