"""Medians, ratios, tables and the figure of the peer benchmark, from its measurements."""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from pgexp.schema.palette import COLOURS

Row = dict[str, Any]
"""A measurement: part, setting, contestant, repeat, value (steps per second or seconds), threads, and details."""

PART_TITLES: Final = {
    "one_run": "One run alone, CartPole-v1 (steps per second)",
    "many_runs": "32 runs on all cores, CartPole-v1 (steps per second of all runs together)",
    "simulators": "One run alone, MuJoCo (steps per second)",
    "prompt": "From prompt to prompt (seconds)",
    "thousand_runs": "Many runs in one command (seconds)",
    "costs": "Command of `make sweep` (seconds)",
}
RATES: Final = ("one_run", "many_runs", "simulators")  # parts that measure steps per second; the others, seconds

NO_EXPORTER: Final = "pgexp, recording off"
SB3: Final = ("SB3 A2C", "SB3 PPO")
IMPORTS: Final = "import torch, mlflow"
SHORT_RUN: Final = "pgexp, 1,000 steps"
LONG_RUN: Final = "pgexp, 200,000 steps"
SWEEP: Final = "sweep"


@dataclass(frozen=True)
class Criterion:
    """A figure that is computed from the measurements of each repeat, and its target.

    The figure is the contestant's value ("value"), its ratio to the largest value of the others ("ratio"), or that
    ratio minus 1 ("cost").
    """

    part: str
    name: str
    contestant: str
    others: tuple[str, ...] = ()
    kind: Literal["value", "ratio", "cost"] = "ratio"
    at_least: float | None = None
    at_most: float | None = None

    def figure(self, values: dict[str, float]) -> float:
        """Return the figure of one repeat. values: by contestant."""
        value = values[self.contestant]
        if self.kind == "value":
            return value
        ratio = value / max(values[other] for other in self.others)
        return ratio - 1 if self.kind == "cost" else ratio

    @property
    def target(self) -> str:
        """The target as text."""
        if self.at_least is not None:
            return f">= {self.format(self.at_least)}"
        return "" if self.at_most is None else f"<= {self.format(self.at_most)}"

    def is_met(self, figure: float) -> bool | None:
        """Return whether a figure reaches the target; None without a target."""
        if self.at_least is not None:
            return figure >= self.at_least
        return None if self.at_most is None else figure <= self.at_most

    def format(self, figure: float) -> str:
        """Return a figure as text with its unit."""
        if self.kind == "cost":
            return f"{figure:.1%}".replace("%", " %")
        if self.kind == "value":
            return f"{figure:,.2f} s" if figure < 10 else f"{figure:,.0f} s"
        return f"{figure:,.1f} times" if figure >= 10 else f"{figure:.2f} times"


CRITERIA: Final = (
    Criterion("one_run", "pgexp / SB3's better", "pgexp", SB3, at_least=40),
    Criterion("one_run", "pgexp / JAX", "pgexp", ("JAX",), at_least=1),
    Criterion("one_run", "pgexp / Tianshou", "pgexp", ("Tianshou",)),
    Criterion("one_run", "recording off / on", NO_EXPORTER, ("pgexp",)),
    Criterion("many_runs", "pgexp / JAX", "pgexp", ("JAX",), at_least=2),
    Criterion("many_runs", "pgexp / SB3's better", "pgexp", SB3, at_least=60),
    Criterion("many_runs", "pgexp / Tianshou", "pgexp", ("Tianshou",), at_least=60),
    Criterion("many_runs", "recording off / on", NO_EXPORTER, ("pgexp",)),
    Criterion("simulators", "pgexp / SB3's better", "pgexp", SB3, at_least=1.8),
    Criterion("prompt", "1,000 steps / importing torch and mlflow", SHORT_RUN, (IMPORTS,), at_most=3),
    Criterion("prompt", "`pgexp --help`", "pgexp --help", kind="value", at_most=1),
    Criterion("prompt", "an unknown key", "unknown key", kind="value", at_most=1),
    Criterion("prompt", "an invalid value", "invalid value", kind="value", at_most=1),
    Criterion("thousand_runs", "1,024 runs", "1,024 runs", kind="value", at_most=100),
    Criterion("costs", "recording", SWEEP, ("without recording",), "cost", at_most=0.10),
    Criterion("costs", "diagnostics=light", SWEEP, ("diagnostics=off",), "cost", at_most=0.10),
    Criterion("costs", "checkpoints", SWEEP, ("checkpoint.seconds=null",), "cost", at_most=0.02),
)


def medians(rows: Sequence[Row]) -> list[Row]:
    """Return one row per part, setting and contestant: median, low, high and the medians of numeric details."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["part"], row["setting"], row["contestant"]), []).append(row)
    found = []
    for (part, setting, contestant), group in groups.items():
        values = [row["value"] for row in group]
        details = {
            name: statistics.median(row["details"][name] for row in group)
            for name, value in group[0]["details"].items()
            if isinstance(value, int | float)
        }
        found.append(
            {
                "part": part,
                "setting": setting,
                "contestant": contestant,
                "threads": group[0]["threads"],
                "median": statistics.median(values),
                "low": min(values),
                "high": max(values),
                "repeats": len(values),
                "details": details,
            }
        )
    return found


def figures(rows: Sequence[Row]) -> Iterator[Row]:
    """Yield the figure of each criterion and setting: median and range over the repeats, and whether it is met."""
    for criterion in CRITERIA:
        repeats: dict[str, dict[int, dict[str, float]]] = {}
        for row in rows:
            if row["part"] == criterion.part:
                values = repeats.setdefault(row["setting"], {}).setdefault(row["repeat"], {})
                values[row["contestant"]] = row["value"]
        for setting, by_repeat in repeats.items():
            needed = {criterion.contestant, *criterion.others}
            found = [criterion.figure(values) for values in by_repeat.values() if needed <= set(values)]
            if found:
                median, low, high = statistics.median(found), min(found), max(found)
                yield {
                    "part": criterion.part,
                    "setting": setting,
                    "name": criterion.name,
                    "median": median,
                    "low": low,
                    "high": high,
                    "text": f"{criterion.format(median)} ({criterion.format(low)} .. {criterion.format(high)})",
                    "target": criterion.target,
                    "met": criterion.is_met(median),
                }


def table(columns: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    cells = [columns, ["---"] * len(columns), *lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def markdown(result: dict[str, Any]) -> str:
    """Return the result as Markdown: machine, versions, targets, and a table per part."""
    rows: list[Row] = result["measurements"]
    machine, met = result["machine"], {None: "", True: "yes", False: "no"}
    versions = "; ".join(
        f"{name}: {', '.join(f'{package} {version}' for package, version in packages.items())}"
        for name, packages in result["versions"].items()
    )
    blocks = [
        f"Machine: {machine['cpu']}, {machine['cores']} cores, {machine['memory'] / 2**30:.0f} GiB, {machine['libc']}, "
        f"Python {machine['python']}.",
        f"Versions in {versions}.",
        f"Command: `{result['command']}`, on {result['date']}. Medians with (lowest .. highest).",
        "### Targets",
        table(
            ("part", "setting", "figure", "result", "target", "met"),
            [
                (row["part"], row["setting"], row["name"], row["text"], row["target"], met[row["met"]])
                for row in figures(rows)
            ],
        ),
    ]
    found = medians(rows)
    for part, title in PART_TITLES.items():
        if lines := [_line(row) for row in found if row["part"] == part]:
            unit = "steps/s" if part in RATES else "seconds"
            blocks += [f"### {title}", table(("setting", "contestant", "threads", unit, "range", "details"), lines)]
    return "\n\n".join(blocks)


def _line(row: Row) -> tuple[str, ...]:
    rate = row["part"] in RATES
    value, low, high = (f"{row[name]:,.0f}" if rate else f"{row[name]:,.2f}" for name in ("median", "low", "high"))
    details = "; ".join(f"{name} {_short(value)}" for name, value in row["details"].items())
    return row["setting"], row["contestant"], row["threads"], value, f"{low} .. {high}", details


def _short(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}"


def draw(rows: Sequence[Row], path: Path) -> None:
    """Draw the rates of CartPole as bars: one run alone, and 32 runs on all cores."""
    from matplotlib.figure import Figure

    found = medians(rows)
    parts = [part for part in ("one_run", "many_runs") if any(row["part"] == part for row in found)]
    if not parts:
        raise SystemExit("--figure: needs measurements of the parts one_run or many_runs (got none)")
    contestants = ("pgexp", "JAX", "SB3 PPO", "SB3 A2C", "Tianshou")
    colours = dict(zip(contestants, (COLOURS[0], COLOURS[1], COLOURS[2], COLOURS[5], COLOURS[3]), strict=True))
    bars = {part: list(_bars([row for row in found if row["part"] == part], contestants)) for part in parts}
    height = 1.2 + 0.3 * max(bar[0] for part in parts for bar in bars[part])
    figure = Figure(figsize=(6.5 * len(parts), height), layout="constrained")
    axes = figure.subplots(1, len(parts), squeeze=False, sharex=True)[0]
    titles = {"one_run": "One run alone", "many_runs": "32 runs on all cores"}
    for axis, part in zip(axes, parts, strict=True):
        for position, row in bars[part]:
            value = row["median"]
            axis.barh(position, value, color=colours[row["contestant"]], height=0.85)
            axis.errorbar(value, position, xerr=[[value - row["low"]], [row["high"] - value]], color="0.25", lw=1)
            axis.text(row["high"] * 1.12, position, f"{value:,.0f}", va="center", fontsize=9)
        axis.set_yticks([position for position, _ in bars[part]], [row["contestant"] for _, row in bars[part]])
        for setting in dict.fromkeys(row["setting"] for _, row in bars[part]):
            top = min(position for position, row in bars[part] if row["setting"] == setting)
            axis.text(0.01, top - 0.9, setting, transform=axis.get_yaxis_transform(), va="center", weight="bold")
        axis.set(xscale="log", title=titles[part], xlabel="training steps per second (log scale)")
        axis.invert_yaxis()
        axis.spines[["top", "right"]].set_visible(False)
    largest = max(row["high"] for part in parts for _, row in bars[part])
    axes[0].set_xlim(1_000, largest * 8)
    figure.suptitle("CartPole-v1, 16 environments x 128 steps, MLP 64-64, Adam, one gradient step per batch")
    figure.savefig(path, dpi=150)


def _bars(rows: Sequence[Row], contestants: Sequence[str]) -> Iterator[tuple[float, Row]]:
    """Yield the bars' vertical positions and rows, grouped by setting with a gap above each group."""
    position = 0.0
    for setting in dict.fromkeys(row["setting"] for row in rows):
        position += 1.0
        by_name = {row["contestant"]: row for row in rows if row["setting"] == setting}
        for name in contestants:
            if name in by_name:
                yield position, by_name[name]
                position += 1.0
