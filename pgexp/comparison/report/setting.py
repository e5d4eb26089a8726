"""What was run: the design of a comparison, as terms and what they are here."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from pgexp.comparison.design import Design
from pgexp.comparison.factors import written
from pgexp.comparison.labels import natural

Facts = list[tuple[str, str]]
PARAM: Final = "param."
SHORT: Final = 12  # letters of a hash
NOT_SHARED: Final = ("param.seed",)


def named_factors(design: Design) -> dict[str, list[str]]:
    """Return what was varied, as commands call it, with the values as they write them."""
    return {name.removeprefix(PARAM): [written(value) for value in values] for name, values in design.factors.items()}


def design_facts(runs: pd.DataFrame, design: Design) -> Facts:
    """Return what tells the runs' design: environments, factors, seeds, runs, budget, training and evaluation."""
    facts = [("Environments" if runs["environment"].nunique() > 1 else "Environment", "; ".join(_environments(runs)))]
    facts += [(f"Factor {name}", ", ".join(values)) for name, values in named_factors(design).items()]
    facts += [("Configurations", _configurations(design)), ("Seeds", _seeds(runs, design)), ("Runs", _statuses(runs))]
    facts += [(term, text) for term, text in _protocol(runs) if text]
    return [*facts, ("Biased gradient estimates", _biased(runs)), ("Code", _code(runs))]


def shared_facts(runs: pd.DataFrame) -> Facts:
    """Return the parameters that all runs have in common, by name."""
    columns = [column for column in runs if str(column).startswith(PARAM) and column not in NOT_SHARED]
    same = [column for column in columns if runs[column].notna().all() and runs[column].astype(str).nunique() == 1]
    return [(str(column).removeprefix(PARAM), str(runs[column].iloc[0])) for column in same]


def _environments(runs: pd.DataFrame) -> Iterator[str]:
    for environment, rows in runs.groupby("environment", sort=False, observed=True):
        limits = rows["threshold"].dropna().unique()
        yield f"{environment}, solved at a return of {limits[0]:g}" if limits.size == 1 else str(environment)


def _configurations(design: Design) -> str:
    """Return how many there are, and of how many that a full crossing has."""
    number = len(design.configurations)
    if len(design.factors) < 2 and design.is_full_factorial:
        return str(number)
    how = "every combination of the factors" if design.is_full_factorial else f"of {design.cells} combinations"
    return f"{number}, {how}"


def _seeds(runs: pd.DataFrame, design: Design) -> str:
    sizes = sorted({len(set(own["seed"])) for _, own in runs.groupby("configuration", sort=False)})
    few = f"{sizes[0]} to {sizes[-1]}" if len(sizes) > 1 else f"{sizes[0]}"
    alike = "the same count in every configuration" if design.is_paired else "not the same count in every one"
    beside = f"; {alike}" if len(design.configurations) > 1 else ""
    return f"{few} a configuration ({_ranges(sorted(set(runs['seed'])))}){beside}"


def _ranges(numbers: Sequence[int]) -> str:
    """Return ``0 to 4, 7`` for 0, 1, 2, 3, 4, 7."""
    series = pd.Series(numbers)
    groups = series.groupby((series.diff() != 1).cumsum())
    return ", ".join(f"{run.iloc[0]} to {run.iloc[-1]}" if len(run) > 1 else str(run.iloc[0]) for _, run in groups)


def _statuses(runs: pd.DataFrame) -> str:
    counted = runs["status"].value_counts()
    ended = ", ".join(f"{number} {str(status).lower()}" for status, number in counted.items())
    return f"{len(runs)}: {ended}; {int((runs['left_out'] == '').sum())} count"


def _protocol(runs: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """Yield how runs were trained and evaluated; a setting in which they differ is given with all its values."""
    given = {name: _values(runs, name) for name in PROTOCOL}
    budget, episodes, steps, envs = (given[name] for name in PROTOCOL[:4])
    yield "Budget", f"{budget} environment steps a run" if budget else ""
    batch = f"{episodes} episodes" if episodes else f"{steps} steps per environment" if steps else ""
    yield "Batch", f"{batch}, {envs} environments" if batch and envs else batch
    every, during, final, greedy = (given[name] for name in PROTOCOL[4:8])
    how = {"True": "most probable actions", "False": "sampled actions"}.get(greedy, "")
    yield (
        "Score",
        f"mean undiscounted return of {final} episodes after training{', ' + how if how else ''}" if final else "",
    )
    yield "Evaluation in training", f"every {every} steps, {during} episodes" if every else ""
    for term, name in (("Network", "network"), ("Optimizer", "optimizer"), ("Learning rate", "optimizer.lr")):
        widths = _values(runs, "network.widths") if name == "network" else ""
        yield term, " ".join(filter(None, [_values(runs, name), widths]))


PROTOCOL: Final = (
    *("budget.steps", "algorithm.batch.episodes", "algorithm.batch.steps", "env.num_envs"),
    *("evaluation.every", "evaluation.episodes", "evaluation.final_episodes", "evaluation.greedy"),
)


def _values(runs: pd.DataFrame, name: str) -> str:
    """Return the values of a parameter, each once; the empty text where no run has it."""
    column = runs.get(PARAM + name)
    if column is None:
        return ""
    values = sorted({_written(value) for value in column.dropna()}, key=natural)
    return " or ".join(values)


def _written(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int | np.integer) and not isinstance(value, bool) else str(value)


def _biased(runs: pd.DataFrame) -> str:
    """Return which configurations' choices bias the gradient's estimate, as the runs' tags say."""
    said = runs.drop_duplicates("configuration")
    said = said[said["biased"] != ""]
    if said.empty:
        return "none"
    if len(said) == runs["configuration"].nunique() and said["biased"].nunique() == 1:
        return f"all ({said['biased'].iloc[0]})"
    return "; ".join(f"{row['configuration_name']} ({row['biased']})" for row in said.to_dict("records"))


def _code(runs: pd.DataFrame) -> str:
    versions, commits = (_short(runs[column]) for column in ("code", "commit"))
    what = f"{len(versions)} versions" if len(versions) > 1 else "version"
    told = f"{what} {', '.join(versions) or 'unknown'}" + (f", git commit {', '.join(commits)}" if commits else "")
    dirty = int(runs["dirty"].fillna(False).sum())
    changes = (
        f"uncommitted changes in the checkout of {dirty} of {len(runs)} runs" if dirty else "no uncommitted changes"
    )
    return f"{told}; {changes}"


def _short(hashes: "pd.Series[str]") -> list[str]:
    return [each[:SHORT] for each in hashes.unique() if each]
