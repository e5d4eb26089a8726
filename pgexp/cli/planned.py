"""Estimate of a sweep, printed instead of training it (`sweep.dry_run=true`)."""

from collections import Counter

from rich.console import Console
from rich.table import Table

from pgexp.execution.estimating import Estimate
from pgexp.execution.progress import duration
from pgexp.schema.config import RunConfig


def print_estimate(estimate: Estimate, console: Console) -> None:
    """Print the runs, one line per kind, and the time they take together."""
    table = Table("runs", "what they train", "budget of each", "time of each", box=None, pad_edge=False)
    for column in table.columns:
        column.justify = "left" if column.header == "what they train" else "right"
    lines = Counter((_subject(run.config), _budget(run.config), duration(run.seconds)) for run in estimate.runs)
    for line, count in lines.items():
        table.add_row(f"{count:,}", *line)
    console.print(table)
    runs, steps = len(estimate.runs), sum(run.config.budget.steps or 0 for run in estimate.runs)
    total = f"{runs:,} runs" + (f", {steps:,} steps" if steps else "")
    at_once = f"{min(estimate.workers, runs)} at once"
    told = f"{total}, {at_once}: about {duration(estimate.seconds)} of training, without evaluations"
    console.print(told, soft_wrap=True)
    console.print("Nothing was trained, and nothing recorded: sweep.dry_run=true", soft_wrap=True)


def _subject(config: RunConfig) -> str:
    batch = config.batch
    size = f"{batch.episodes} episodes" if batch.episodes else f"{config.num_envs} x {batch.steps} steps"
    return f"{config.env.id}, {config.choices.get('network', config.network.name)}, batches of {size}"


def _budget(config: RunConfig) -> str:
    budget = config.budget
    return f"{budget.steps:,} steps" if budget.steps is not None else f"{budget.episodes:,} episodes"
