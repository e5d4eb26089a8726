"""Comparison of pgexp's runs of the short corridor with the book and the simulation, and the two figures.

    python -m analysis.sutton_barto_13.comparison [--uri sqlite:///mlflow.db]

It reads the runs that `pgexp -m experiment=sutton_barto_13_1` and `..._2` recorded, prints the tables and writes them
to results.md, and draws the figures. It exits with 1 if a number is not within error.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from math import log2
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from analysis.sutton_barto_13 import simulation
from analysis.sutton_barto_13.figures import plot
from analysis.sutton_barto_13.simulation import SETTINGS, Array, Setting
from pgexp.comparison.frames import metrics, runs
from pgexp.comparison.mlflow_store import DEFAULT_URI
from pgexp.schema import names

EXPERIMENT: Final = "sutton_barto_13"
HERE: Final = Path(__file__).parent
SPANS: Final = {
    "early": "episodes 1-100",
    "all": "episodes 1-1,000",
    "last_others": "episodes 901-1,000, not collapsed",
}
FIGURES: Final = {"figure_13_1": SETTINGS[:3], "figure_13_2": (SETTINGS[3], SETTINGS[1])}
ERROR_RATE: Final = 0.05  # of all rows together, by Bonferroni


class Row(NamedTuple):
    """One comparison: the expected and the measured value, and the p value of their difference."""

    setting: str
    quantity: str
    expected: str
    measured: str
    z: float | None  # None for counts
    p: float


def returns(uri: str) -> dict[Setting, Array]:
    """Return the total reward of each episode of each finished run, [episodes, R], by setting."""
    recorded = runs(uri, experiment=EXPERIMENT)
    frame = recorded[recorded["status"] == "FINISHED"].drop_duplicates(["configuration", "seed"], keep="last")
    if len(frame) < len(recorded):
        print(f"excluded: {len(recorded) - len(frame)} runs that are not finished or repeated by a later one\n")
    found = {}
    for _, part in frame.groupby("configuration"):
        lr, baseline = part[["param.optimizer.lr", "param.baseline"]].iloc[0]
        setting = Setting(round(log2(lr)), None if baseline == "none" else -6)
        rewards = metrics(part, uri, names=[names.RETURN_MEAN]).sort_values("steps").groupby("run_id", observed=True)
        found[setting] = np.stack([run["value"].to_numpy() for _, run in rewards], axis=1)
    return found


def rows(setting: str, expected: Mapping[str, Any], measured: Mapping[str, Any]) -> Iterator[Row]:
    """Yield the comparisons of one setting: means over runs by z, with the simulation's deviation, and exact counts."""
    from scipy.stats import fisher_exact, norm

    exact = {"mean": simulation.expected_return(simulation.START), "std": expected["first"]["std"], "n": np.inf}
    parts = {"episode 1": (exact, measured["first"])}
    parts |= {label: (expected[key], measured[key]) for key, label in SPANS.items()}
    for label, (true, found) in parts.items():
        z = (found["mean"] - true["mean"]) / (true["std"] * np.sqrt(1 / true["n"] + 1 / found["n"]))
        p = 2 * float(norm.sf(abs(z)))
        yield Row(setting, label, f"{true['mean']:.2f}", mean(found), float(z), p)
    counts = np.array([[part["collapsed"], part["runs"] - part["collapsed"]] for part in (expected, measured)])
    p = float(fisher_exact(counts).pvalue)
    yield Row(setting, "collapsed runs", share(expected), share(measured), None, p)


def mean(part: Mapping[str, float]) -> str:
    """Return a mean over runs with its standard error."""
    return f"{part['mean']:.2f} +- {part['std'] / np.sqrt(part['n']):.2f}"


def share(part: Mapping[str, Any]) -> str:
    """Return the number of collapsed runs with the exact 95 % interval of their share."""
    from scipy.stats import binomtest

    interval = binomtest(part["collapsed"], part["runs"]).proportion_ci()
    return f"{part['collapsed']} of {part['runs']:,} [{interval.low:.1%}, {interval.high:.1%}]"


def table(found: Sequence[Row]) -> str:
    """Return the comparisons as a Markdown table with verdicts."""
    lines = ["| setting | quantity | expected | measured | z | p | within error |", "|---|---|---|---|---|---|---|"]
    for row in found:
        z = "" if row.z is None else f"{row.z:.2f}"
        verdict = "yes" if row.p >= ERROR_RATE / len(found) else "NO"
        lines.append(
            f"| {row.setting} | {row.quantity} | {row.expected} | {row.measured} | {z} | {row.p:.3f} | {verdict} |"
        )
    return "\n".join(lines)


def orders(expected: Mapping[str, Any], measured: Mapping[str, Any]) -> str:
    """Return a Markdown table of the last returns by the order of updates within an episode, and of pgexp's runs."""
    lines = [
        "| setting | order | mean return, episodes 901-1,000 | median | collapsed runs | capped episodes |",
        "|---|---|---|---|---|---|",
    ]
    for setting, by_order in expected.items():
        for order, part in [*by_order.items(), *([("pgexp", measured[setting])] if setting in measured else [])]:
            cells = (setting, order, mean(part["last"]), f"{part['last_median']:.2f}", share(part))
            lines.append(f"| {' | '.join(cells)} | {part['capped']:,} of {simulation.EPISODES * part['runs']:,} |")
    return "\n".join(lines)


def main() -> None:
    """Print and write the tables, and draw the figures of the trained settings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--uri", default=DEFAULT_URI)
    arguments = parser.parse_args()
    trained, expected = returns(arguments.uri), json.loads(simulation.EXPECTED.read_text())
    measured = {str(setting): simulation.summary(trained[setting]) for setting in SETTINGS if setting in trained}
    found = [row for name, part in measured.items() for row in rows(name, expected[name]["episode"], part)]
    last = f"# Last returns by order of updates\n\n{orders(expected, measured)}\n"
    text = f"# Expected and measured\n\n{table(found)}\n\n{last}"
    print(text)
    (HERE / "results.md").write_text(text)
    for stem, settings in FIGURES.items():
        plot({setting: trained[setting] for setting in settings if setting in trained}, expected, HERE / stem)
    sys.exit(any(row.p < ERROR_RATE / len(found) for row in found))


if __name__ == "__main__":
    main()
