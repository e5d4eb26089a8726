"""The differences: configurations compared two by two on one environment, with tests, a row a pair."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from itertools import combinations
from math import comb
from typing import Any, Final

import numpy as np
import pandas as pd

from pgexp.comparison.counting import exclusions
from pgexp.comparison.judging import judged
from pgexp.comparison.store import ComparisonError
from pgexp.comparison.tasks import settings
from pgexp.comparison.wording import verdict
from pgexp.schema import names
from pgexp.statistics.comparing import Difference, compare
from pgexp.statistics.estimates import interquartile_mean
from pgexp.statistics.multiplicity import holm

COLUMNS: Final = (
    *("environment", "configuration_name", "reference", "n", "n_reference", "paired"),
    *("estimate", "difference", "low", "high", "p", "p_holm", "family"),
    *("p_permutation", "p_permutation_holm", "least_p", "effect_size"),
    *("improvement", "improvement_low", "improvement_high", "test", "words", "caveat"),
)
ALL_PAIRS: Final = 4  # configurations of which every two are compared; of more, each with one reference
LISTED: Final = 5  # pairs that a note names before it only counts them

Scores = dict[str, "pd.Series[float]"]
"""The finite scores of each configuration of one environment, by seed."""


def differences(runs: pd.DataFrame, reference: str | None = None) -> pd.DataFrame:
    """Return a row a pair of configurations that share an environment, COLUMNS, from `frames.runs`, the surest first.

    Each configuration is compared with the reference, where one is given by its name, or by the part of it that
    does not name the environment. Without one, every two of up to four configurations are, and of more each with
    the one that has the best interquartile mean, of those with two seeds or more if there are any. The difference is
    that of the configuration less that of its reference, `compare`'s, and p_holm Holm's correction over the `family`,
    the tests of an environment. Where the scores chose the reference, it counts every pair that they could have
    chosen, k (k - 1) / 2: corrected for the k - 1 that are shown, the best of ten configurations that are equally good
    differs significantly from one of the others in 13 % of experiments (20 seeds, normal scores), and that of thirty in
    20 % (10 seeds); so in 3 and 2 % (analysis/comparing). A pair with a single seed on one side can't be tested, and
    does not count.

    Seeds are paired (a seed fixes initialisation, environments and actions of every configuration) where at least
    half of either side's seeds are on the other side as well, and two at least; n are then the pairs. Else all
    seeds are compared, unpaired. A configuration without a score is in no pair. Seeds that failed have no score, and
    no part: words and caveat say so, since what is left may look the better for it. ComparisonError for an unknown
    reference.
    """
    scored = runs[exclusions(runs) == ""]
    called, failed = settings(runs), _failures(runs)
    rows: list[dict[str, object]] = []
    for environment, own in runs.groupby("environment", sort=False):
        scores = _scores(scored[scored["environment"] == environment])
        chosen = None if reference is None else _chosen(reference, list(own["configuration_name"].unique()), called)
        pairs, family = _pairs(scores, chosen)
        told = sorted(_rows(scores, pairs, family), key=_surest)
        rows += [{"environment": environment, **_with_failures(row, failed)} for row in told]
    if reference is not None and not any(_matches(reference, name, called) for name in called.index):
        raise _unknown(reference, called)
    return _typed(pd.DataFrame(rows, columns=list(COLUMNS)))


def differences_notes(differences: pd.DataFrame, runs: pd.DataFrame, reference: str | None = None) -> list[str]:
    """Return what the reader must know of the pairs: how seeds were paired, where the reference is missing, why it."""
    counts = runs[exclusions(runs) == ""].groupby("configuration_name")["seed"].nunique()
    totals = [differences[name].map(counts) for name in ("configuration_name", "reference")]
    paired = differences["paired"].astype(bool)
    short = paired & ((totals[0] > differences["n"]) | (totals[1] > differences["n"]))
    kinds = {
        "Compared over the seeds that both have": short,
        "Compared without pairing, for want of common seeds": ~paired,
    }
    notes = [f"{what}: {_listed(differences[rows])}." for what, rows in kinds.items() if rows.any()]
    for environment, own in runs.groupby("environment", sort=False):
        if own["configuration_name"].nunique() > 1:
            notes += _reference_notes(differences[differences["environment"] == environment], environment, reference)
    return notes


def corrected(p: Sequence[float | None], family: int) -> list[float]:
    """Return p values adjusted by Holm's method for a family of so many tests, of which some are not shown.

    Those not shown stand as if they had failed, which can only raise what is shown.
    """
    shown = np.array([np.nan if value is None else value for value in p], dtype=float)
    others = np.ones(family - np.count_nonzero(~np.isnan(shown)))
    adjusted: list[float] = holm(np.concatenate([shown, others]))[: len(p)].tolist()
    return adjusted


def _reference_notes(pairs: pd.DataFrame, environment: object, reference: str | None) -> list[str]:
    if reference is not None:
        return [f"Nothing is compared on {environment}: {reference} has no score there."] if pairs.empty else []
    if len(pairs) < ALL_PAIRS or pairs["reference"].nunique() > 1:
        return []
    best, family = pairs["reference"].iloc[0], pairs["family"].iloc[0]
    some = " of those with two seeds or more" if family and (pairs["n"] == 1).any() else ""
    return [
        f"Compared with {best}, which has the best IQM on {environment}{some}; since these scores chose it, Holm's "
        f"correction is over all {family} pairs (--reference names another)."
    ]


def _listed(pairs: pd.DataFrame) -> str:
    which = [f"{a} and {b}" for a, b in zip(pairs["configuration_name"], pairs["reference"], strict=True)]
    return ", ".join(which[:LISTED]) + (f", and {len(which) - LISTED} more pairs" if len(which) > LISTED else "")


def _scores(runs: pd.DataFrame) -> Scores:
    finite = runs[np.isfinite(runs[names.FINAL_RETURN])]
    by_seed = finite.set_index("seed").groupby("configuration_name", sort=False, observed=True)
    return {str(name): seeds[names.FINAL_RETURN] for name, seeds in by_seed}


def _pairs(scores: Scores, chosen: str | None) -> tuple[list[tuple[str, str]], int]:
    """Return the pairs to compare, each (configuration, reference), and of how many tests they are a family."""
    every = [(b, a) for a, b in combinations(scores, 2)]
    testable = [name for name, own in scores.items() if len(own) > 1]
    family = comb(len(testable), 2)
    if chosen is None and len(scores) <= ALL_PAIRS:
        return every, family
    best = (
        max(testable or scores, key=lambda name: float(interquartile_mean(scores[name]))) if chosen is None else chosen
    )
    pairs = [(name, best) for name in scores if name != best] if best in scores else []
    return pairs, family if chosen is None else len({*testable} - {best}) * (best in testable)


def _rows(scores: Scores, pairs: Sequence[tuple[str, str]], family: int) -> Iterator[dict[str, object]]:
    found = [_compared(scores[a], scores[b]) for a, b in pairs]
    adjusted = corrected([one.p for one in found], family)
    permuted = corrected([one.p_permutation for one in found], family)
    for (a, b), one, p, p_permutation in zip(pairs, found, adjusted, permuted, strict=True):
        yield {
            **{name: getattr(one, name) for name in COLUMNS if hasattr(one, name)},
            "configuration_name": a,
            "reference": b,
            "n": one.n_a,
            "n_reference": one.n_b,
            "p_holm": p,
            "p_permutation_holm": p_permutation,
            "family": family,
            "words": verdict(one, a, b, None if np.isnan(p) else p, family),
        }


def _failures(runs: pd.DataFrame) -> Mapping[str, int]:
    """Return how many seeds of each configuration failed, of those that have some."""
    rows = judged(runs)
    counts = rows[rows["failed"]].groupby("configuration_name", sort=False, observed=True).size()
    return {str(name): int(count) for name, count in counts.items()}


def _with_failures(row: dict[str, Any], failed: Mapping[str, int]) -> dict[str, Any]:
    """Return a row that says how many seeds of the two failed, and so have no part in it."""
    lost = [f"{failed[name]} of {name}" for name in (row["configuration_name"], row["reference"]) if name in failed]
    if not lost:
        return row
    caveat = f"Seeds that failed have no part in it: {', '.join(lost)}."
    words = f"{row['words']}, without seeds that failed: {', '.join(lost)}"
    return row | {"words": words, "caveat": f"{row['caveat']} {caveat}".strip()}


def _surest(row: Mapping[str, Any]) -> float:
    """Return what pairs are ordered by: the p value, and what was not tested last."""
    return float("inf") if row["p"] is None else float(row["p"])


def _compared(a: "pd.Series[float]", b: "pd.Series[float]") -> Difference:
    common = a.index.intersection(b.index)
    paired = len(common) >= max(2, len(a) / 2, len(b) / 2)
    x, y = (side.loc[common].to_numpy() if paired else side.to_numpy() for side in (a, b))
    return compare(x, y, paired)


def _chosen(reference: str, own: Sequence[str], called: "pd.Series[str]") -> str:
    return next((name for name in own if _matches(reference, name, called)), "")


def _matches(reference: str, name: str, called: "pd.Series[str]") -> bool:
    return reference in (name, called[name])


def _unknown(reference: str, called: "pd.Series[str]") -> ComparisonError:
    known = list(dict.fromkeys([*called, *called.index]))
    nearest = get_close_matches(reference, known, n=3, cutoff=0)
    return ComparisonError(f"there is no configuration {reference!r}: the nearest here are {', '.join(nearest)}")


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    whole = dict.fromkeys(("n", "n_reference", "family"), "Int64")
    texts = ("environment", "configuration_name", "reference", "paired", "estimate", "test", "words", "caveat")
    return frame.astype(whole | {name: float for name in COLUMNS if name not in (*whole, *texts)})
