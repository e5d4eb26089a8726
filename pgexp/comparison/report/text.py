"""Text of a report: question and answers, experimental setup, and methods of the tests."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from pgexp.comparison.design import Design, format_value
from pgexp.comparison.pairwise import ALPHA, POWER, format_p, seeds_hint
from pgexp.comparison.report.tables import probability, typeset
from pgexp.comparison.run_frame import PARAM, natural_key
from pgexp.comparison.summary import summary_decimals

Facts = list[tuple[str, str]]
"""Terms with their descriptions."""

MAX_VALUES: Final = 6  # of a factor in the question
MAX_DIFFERENCES: Final = 3  # in an answer
HASH_LENGTH: Final = 12
PROTOCOL: Final = (
    *("budget.steps", "algorithm.batch.episodes", "algorithm.batch.steps", "env.num_envs"),
    *("evaluation.every", "evaluation.episodes", "evaluation.final_episodes", "evaluation.greedy"),
)
PAIRING: Final = {
    True: "Seeds are paired: both configurations have the same ones, and a seed fixes initialisation, environments and "
    "actions, so the test uses the differences seed by seed.",
    False: "Seeds are not paired: both configurations have too few common seeds.",
}


def question(factors: Mapping[str, Sequence[object]], environments: Sequence[str]) -> str:
    """Return the question of a design: how its factors affect the final return."""
    where = f"on {_enumerate(environments)}"
    if not factors:
        return f"What is the final return {where}?"
    texts = []
    for name, values in factors.items():
        more = [f"{len(values)} values in all"] * (len(values) > MAX_VALUES)
        texts.append(f"{name} ({', '.join([*map(str, values[:MAX_VALUES]), *more])})")
    return f"How {'does' if len(factors) == 1 else 'do'} {_enumerate(texts)} affect the final return {where}?"


def answers(summary: pd.DataFrame, differences: pd.DataFrame) -> list[str]:
    """Return the answer for each environment, from the frames of `summary` and `differences`."""
    return [
        " ".join(_answer(str(environment), rows, differences[differences["environment"] == environment]))
        for environment, rows in summary.groupby("environment", sort=False, observed=True)
    ]


def factor_texts(design: Design) -> dict[str, list[str]]:
    """Return the factors with their values, as in a command."""
    return {
        name.removeprefix(PARAM): [format_value(value) for value in values] for name, values in design.factors.items()
    }


def design_facts(runs: pd.DataFrame, design: Design) -> Facts:
    """Return the facts of the design: environments, factors, seeds, runs, budget, training and evaluation."""
    environments = []
    for environment, rows in runs.groupby("environment", sort=False, observed=True):
        limits = rows["threshold"].dropna().unique()
        solved = f", solved at a return of {limits[0]:g}" if limits.size == 1 else ""
        environments.append(f"{environment}{solved}")
    status = ", ".join(f"{number} {str(status).lower()}" for status, number in runs["status"].value_counts().items())
    return [
        ("Environments" if len(environments) > 1 else "Environment", "; ".join(environments)),
        *((f"Factor {name}", ", ".join(values)) for name, values in factor_texts(design).items()),
        ("Configurations", _configurations(design)),
        ("Seeds", _seeds(runs, design)),
        ("Runs", f"{len(runs)}: {status}; {int((runs['exclusion'] == '').sum())} count"),
        *((term, text) for term, text in _protocol(runs) if text),
        ("Biased gradient estimates", _biased(runs)),
        ("Code", _code(runs)),
    ]


def shared_facts(runs: pd.DataFrame) -> Facts:
    """Return the parameters with one value in all runs, by name."""
    columns = [str(column) for column in runs if str(column).startswith(PARAM) and column != f"{PARAM}seed"]
    same = [column for column in columns if runs[column].notna().all() and runs[column].astype(str).nunique() == 1]
    return [(column.removeprefix(PARAM), str(runs[column].iloc[0])) for column in same]


def methods(differences: pd.DataFrame) -> list[str]:
    """Return paragraphs on the tests in the frame of `differences`: methods, correction, power and caveats."""
    if differences.empty:
        return ["There is no comparison: no two configurations of one environment have a score."]
    parts = (_tests(differences), _correction(differences), _power(differences))
    caveats = dict.fromkeys(str(caveat) for caveat in differences["caveat"] if caveat)
    return [" ".join(part) for part in map(list, (*parts, caveats)) if part]


def _answer(environment: str, rows: pd.DataFrame, differences: pd.DataFrame) -> Iterator[str]:
    scored = rows[rows["n"].fillna(0) > 0]
    if scored.empty:
        yield f"On {environment} no run has a final score."
        return
    best, digits = scored.sort_values("iqm", ascending=False, kind="stable").iloc[0], summary_decimals(rows)
    iqm, low, high = (float(best[name]) for name in ("iqm", "iqm_low", "iqm_high"))
    interval = "" if np.isnan(low) else f" [{typeset(low, digits)}, {typeset(high, digits)}]"
    value = f"{typeset(iqm, digits)}{interval}, {f'{best.n:.0f} seeds' if best['n'] > 1 else 'one seed'}"
    highest = f"the highest interquartile mean of {len(scored)}"
    has = f"{highest}: {value}" if len(scored) > 1 else f"an interquartile mean of {value}"
    yield f"On {environment} {best['configuration_name']} has {has}."
    tested = differences["p_holm"].notna()
    significant = differences[tested & (differences["p_holm"] <= ALPHA)]
    if len(significant):
        more = [f"and {len(significant) - MAX_DIFFERENCES} more"] if len(significant) > MAX_DIFFERENCES else []
        shown = significant["verdict"][:MAX_DIFFERENCES]
        yield f"{'; '.join([*(str(text).rstrip('.') for text in shown), *more])}."
    rest = differences[tested & (differences["p_holm"] > ALPHA)]
    for place, (_, pairs) in enumerate(rest.groupby("paired", sort=False)):
        yield _not_significant(pairs, "No other" if len(significant) or place else "No")
    if len(differences) and not tested.any():
        yield "No difference can be tested: train two or more seeds of each configuration."


def _not_significant(rows: pd.DataFrame, no: str) -> str:
    """Return a sentence on pairs without a significant difference, all paired or none, for the fewest seeds."""
    if len(rows) == 1:
        return f"{str(rows['verdict'].iloc[0]).rstrip('.')}."
    paired, family = bool(rows["paired"].iloc[0]), int(rows["family"].max())
    sizes = rows[["n", "n_reference"]].to_numpy(int)
    few, many = int(sizes.min()), int(sizes.max())
    n = f"n = {few}{f' to {many}' if many > few else ''}{' pairs' if paired else ''}"
    p = f"least {format_p(float(rows['p_holm'].min()))}{f', Holm over {family}' if family > 1 else ''}"
    return f"{no} difference is distinguishable at {n} ({p}): {seeds_hint(few, paired, family)}."


def _enumerate(parts: Sequence[str]) -> str:
    """Return ``a``, ``a and b`` or ``a, b and c``."""
    return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))


def _configurations(design: Design) -> str:
    """Return the number of configurations, and that of a full factorial design."""
    number = len(design.configurations)
    if len(design.factors) < 2 and design.is_full_factorial:
        return str(number)
    crossing = "every combination of the factors" if design.is_full_factorial else f"of {design.cells} combinations"
    return f"{number}, {crossing}"


def _seeds(runs: pd.DataFrame, design: Design) -> str:
    sizes = sorted({len(set(own["seed"])) for _, own in runs.groupby("configuration", sort=False)})
    number = f"{sizes[0]} to {sizes[-1]}" if len(sizes) > 1 else f"{sizes[0]}"
    paired = "the same count in every configuration" if design.is_paired else "not the same count in every one"
    pairing = f"; {paired}" if len(design.configurations) > 1 else ""
    return f"{number} per configuration ({_ranges(sorted(set(runs['seed'])))}){pairing}"


def _ranges(numbers: Sequence[int]) -> str:
    """Return ``0 to 4, 7`` for 0, 1, 2, 3, 4, 7."""
    series = pd.Series(numbers)
    groups = series.groupby((series.diff() != 1).cumsum())
    return ", ".join(f"{run.iloc[0]} to {run.iloc[-1]}" if len(run) > 1 else str(run.iloc[0]) for _, run in groups)


def _protocol(runs: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """Yield the settings of training and evaluation; if runs differ in one, with all its values."""
    budget, episodes, steps, envs, every, during, final, greedy = (_values(runs, name) for name in PROTOCOL)
    yield "Budget", f"{budget} environment steps per run" if budget else ""
    batch = f"{episodes} episodes" if episodes else f"{steps} steps per environment" if steps else ""
    yield "Batch", f"{batch}, {envs} environments" if batch and envs else batch
    actions = {"True": ", most probable actions", "False": ", sampled actions"}.get(greedy, "")
    score = f"mean undiscounted return of {final} episodes after training{actions}"
    yield "Score", score if final else ""
    yield "Evaluation in training", f"every {every} steps, {during} episodes" if every else ""
    yield "Network", " ".join(filter(None, [_values(runs, "network"), _values(runs, "network.widths")]))
    yield "Optimizer", _values(runs, "optimizer")
    yield "Learning rate", _values(runs, "optimizer.lr")


def _values(runs: pd.DataFrame, name: str) -> str:
    """Return the distinct values of a parameter; "" if no run has it."""
    column = runs.get(PARAM + name)
    if column is None:
        return ""
    return " or ".join(sorted({_text(value) for value in column.dropna()}, key=natural_key))


def _text(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int | np.integer) and not isinstance(value, bool) else str(value)


def _biased(runs: pd.DataFrame) -> str:
    """Return the configurations whose choices bias the gradient estimate, by the runs' tags."""
    biased = runs.drop_duplicates("configuration")
    biased = biased[biased["biased"] != ""]
    if biased.empty:
        return "none"
    if len(biased) == runs["configuration"].nunique() and biased["biased"].nunique() == 1:
        return f"all ({biased['biased'].iloc[0]})"
    return "; ".join(f"{row['configuration_name']} ({row['biased']})" for row in biased.to_dict("records"))


def _code(runs: pd.DataFrame) -> str:
    versions, commits = ([each[:HASH_LENGTH] for each in runs[name].unique() if each] for name in ("code", "commit"))
    number = f"{len(versions)} versions" if len(versions) > 1 else "version"
    text = f"{number} {', '.join(versions) or 'unknown'}" + (f", git commit {', '.join(commits)}" if commits else "")
    dirty = int(runs["dirty"].fillna(False).sum())
    changes = f"uncommitted changes in the checkout of {dirty} of {len(runs)} runs"
    return f"{text}; {changes if dirty else 'no uncommitted changes'}"


def _tests(differences: pd.DataFrame) -> Iterator[str]:
    """Yield the test of each pair, and why its seeds are paired or not."""
    for (test, paired), rows in differences.groupby(["test", "paired"], sort=False):
        share = "" if len(rows) == len(differences) else f" ({len(rows)} of {len(differences)} differences)"
        yield f"Test of the difference of the mean final returns: {test or 'none'}{share}. {PAIRING[bool(paired)]}"
    yield "Intervals are 95 % intervals of a single difference, without correction for several."


def _correction(differences: pd.DataFrame) -> Iterator[str]:
    for environment, rows in differences.groupby("environment", sort=False, observed=True):
        family, tested = int(rows["family"].max()), int(rows["p"].notna().sum())
        if family == 0:
            continue
        if family == 1:
            yield f"On {environment} there is one test, which needs no correction."
            continue
        shown = "" if family == tested else f"; {tested} of them are shown, since the scores chose the reference"
        yield f"On {environment}, p (Holm) is corrected for {family} tests by the method of Holm 1979{shown}."


def _power(differences: pd.DataFrame) -> Iterator[str]:
    """Yield the effect that the comparison with the fewest seeds detects, and the seeds that one deviation needs."""
    from pgexp.statistics.power import detectable_effect, required_seeds

    for paired in map(bool, differences["paired"].unique()):
        n = int(differences.loc[differences["paired"] == paired, ["n", "n_reference"]].to_numpy().min())
        if n < 2:
            continue
        unit, deviation = ("pairs", "of the differences") if paired else ("seeds each", "of the scores")
        least, needed = detectable_effect(n, POWER, paired=paired), required_seeds(1.0, POWER, paired=paired)
        yield (
            f"With {n} {unit}, an uncorrected test detects a difference of {least:.1f} standard deviations "
            f"({deviation}) with power {probability(POWER, 1)}; one standard deviation needs {needed} {unit}."
        )
