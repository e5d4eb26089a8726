"""Estimate of a sweep, printed instead of training it (`sweep.dry_run=true`)."""

from collections import Counter

from rich.console import Console
from rich.table import Table

from pgexp.execution.estimating import Estimate
from pgexp.execution.progress import duration
from pgexp.schema.config import RunConfig


def print_estimate(estimate: Estimate, console: Console) -> None:
    """Print the runs, one line per kind, and the time they take together."""
    table = Table(
        "runs", "environment", "network", "baseline", "batch", "budget", "time of each", box=None, pad_edge=False
    )
    for column in table.columns:
        column.justify = "right" if column.header in ("runs", "budget", "time of each") else "left"
    lines = Counter((*_cells(run.config), _time(run.seconds)) for run in estimate.runs)
    for line, count in lines.items():
        table.add_row(f"{count:,}", *line)
    console.print(table)
    runs, steps = len(estimate.runs), sum(run.config.budget.steps or 0 for run in estimate.runs)
    total = f"{runs:,} runs" + (f", {steps:,} steps" if steps else "")
    at_once = f"{min(estimate.workers, runs)} at once"
    told = f"{total}, {at_once}: about {duration(estimate.seconds)} of training, without evaluations"
    console.print(told, soft_wrap=True)
    console.print("Nothing was trained, and nothing recorded: sweep.dry_run=true", soft_wrap=True)


def _cells(config: RunConfig) -> tuple[str, str, str, str, str]:
    batch, budget = config.batch, config.budget
    return (
        config.env.id,
        config.choices.get("network", config.network.name),
        config.choices.get("baseline", config.baseline.name),
        f"{batch.episodes} episodes" if batch.episodes else f"{config.num_envs} x {batch.steps} steps",
        f"{budget.steps:,} steps" if budget.steps is not None else f"{budget.episodes:,} episodes",
    )


def _time(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 10 else duration(seconds)
