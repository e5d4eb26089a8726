"""What a report asks, and what it answers: in a sentence or two, no more certain than the tests are."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd

from pgexp.comparison.report.numbers import typeset
from pgexp.comparison.summary import places
from pgexp.comparison.wording import needed, p_written

LEVEL: Final = 0.05  # as `wording.verdict` has it
LISTED: Final = 6  # values of a factor that the question names
SPOKEN: Final = 3  # differences that the answer tells one by one


def question(factors: Mapping[str, Sequence[object]], environments: Sequence[str]) -> str:
    """Return the question that a comparison's design asks: how its factors affect the final return."""
    where = f"on {_joined(environments)}"
    if not factors:
        return f"What is the final return {where}?"
    verb = "does" if len(factors) == 1 else "do"
    named = [_factor(name, values) for name, values in factors.items()]
    return f"How {verb} {_joined(named)} affect the final return {where}?"


def answers(summary: pd.DataFrame, differences: pd.DataFrame) -> list[str]:
    """Return what came out, a paragraph an environment, from the frames of `summary` and `differences`."""
    return [
        " ".join(_answer(str(environment), rows, differences[differences["environment"] == environment]))
        for environment, rows in summary.groupby("environment", sort=False, observed=True)
    ]


def _answer(environment: str, rows: pd.DataFrame, differences: pd.DataFrame) -> Iterator[str]:
    scored = rows[rows["n"].fillna(0) > 0]
    if scored.empty:
        yield f"On {environment} no run has a final score."
        return
    best = scored.sort_values("iqm", ascending=False, kind="stable").iloc[:1]
    name, value = best["configuration_name"].iloc[0], _estimate(best, places(rows))
    highest = f"the highest interquartile mean of {len(scored)}"
    has = f"{highest}: {value}" if len(scored) > 1 else f"an interquartile mean of {value}"
    yield f"On {environment} {name} has {has}."
    yield from _told(differences)


def _told(differences: pd.DataFrame) -> Iterator[str]:
    """Yield what the tests say: the surest of the differences that they tell, and of the rest what would tell them."""
    tested = differences["p_holm"].notna()
    told = differences[tested & (differences["p_holm"] <= LEVEL)]
    if len(told):
        more = [f"and {len(told) - SPOKEN} more"] if len(told) > SPOKEN else []
        yield f"{'; '.join([*(str(words).rstrip('.') for words in told['words'][:SPOKEN]), *more])}."
    rest = differences[tested & (differences["p_holm"] > LEVEL)]
    for place, (_, rows) in enumerate(rest.groupby("paired", sort=False)):
        yield _rest(rows, "No other" if len(told) or place else "No")
    if len(differences) and not tested.any():
        yield "No difference can be tested: train two seeds of each configuration or more."


def _rest(rows: pd.DataFrame, no: str) -> str:
    """Return what is said of the pairs that are not told apart, all of them paired or none, by the fewest seeds."""
    if len(rows) == 1:
        return f"{str(rows['words'].iloc[0]).rstrip('.')}."
    paired, family = bool(rows["paired"].iloc[0]), int(rows["family"].max())
    sizes = rows[["n", "n_reference"]].to_numpy(int)
    few, many = int(sizes.min()), int(sizes.max())
    n = f"n = {few}{f' to {many}' if many > few else ''}{' pairs' if paired else ''}"
    p = f"least {p_written(float(rows['p_holm'].min()))}{f', Holm over {family}' if family > 1 else ''}"
    return f"{no} difference is distinguishable at {n} ({p}): {needed(few, paired, family)}."


def _estimate(row: pd.DataFrame, digits: int) -> str:
    """Return ``238.0 [170.0, 305.0], 3 seeds`` of the one row."""
    n, iqm, low, high = row[["n", "iqm", "iqm_low", "iqm_high"]].astype(float).to_numpy()[0]
    interval = "" if np.isnan(low) else f" [{typeset(low, digits)}, {typeset(high, digits)}]"
    return f"{typeset(iqm, digits)}{interval}, {f'{n:.0f} seeds' if n > 1 else 'one seed'}"


def _factor(name: str, values: Sequence[object]) -> str:
    shown = [str(value) for value in values[:LISTED]] + ([f"{len(values)} values in all"] * (len(values) > LISTED))
    return f"{name} ({', '.join(shown)})"


def _joined(parts: Sequence[str]) -> str:
    """Return ``a``, ``a and b`` or ``a, b and c``."""
    return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))
