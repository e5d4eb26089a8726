"""Tells what a sweep will take, in place of training it (`sweep.dry_run=true`)."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from pgexp.execution.estimating import Estimate, PackEstimate
from pgexp.execution.progress import duration
from pgexp.schema.config import RunConfig

_MEBIBYTE = 2**20


def tell_estimate(estimate: Estimate, console: Console) -> None:
    """Print the packs, those that are alike in one line, and what they take together."""
    table = Table(
        "packs", "runs each", "what they train", "steps or episodes", "memory", "time", box=None, pad_edge=False
    )
    for column in table.columns:
        column.justify = "left" if column.header == "what they train" else "right"
    lines: dict[tuple[str, ...], list[PackEstimate]] = {}
    for pack in estimate.packs:
        lines.setdefault((f"{len(pack.configs):,}", _what(pack.configs), _budget(pack.configs)), []).append(pack)
    for line, packs in lines.items():
        memory, seconds = max(pack.memory for pack in packs), max(pack.seconds for pack in packs)
        table.add_row(f"{len(packs):,}", *line, _size(memory), duration(seconds))
    console.print(table)
    runs = sum(len(pack.configs) for pack in estimate.packs)
    told = f"{runs:,} runs in {len(estimate.packs):,} packs, {estimate.workers} at once: about {_size(estimate.memory)}"
    console.print(f"{told} and {duration(estimate.seconds)} of training; evaluation comes on top", soft_wrap=True)
    console.print("Nothing was trained, and nothing recorded: sweep.dry_run=true", soft_wrap=True)


def _what(configs: Sequence[RunConfig]) -> str:
    first = configs[0]
    batch = (
        f"{first.batch.episodes} episodes" if first.batch.episodes else f"{first.num_envs} x {first.batch.steps} steps"
    )
    network = first.choices.get("network", first.network.name)
    return f"{first.env.id}, {network}, batches of {batch}"


def _budget(configs: Sequence[RunConfig]) -> str:
    steps = sum(config.budget.steps or 0 for config in configs)
    return f"{steps:,}" if steps else f"{sum(config.budget.episodes or 0 for config in configs):,} episodes"


def _size(count: int) -> str:
    return f"{count / _MEBIBYTE:,.0f} MiB" if count < 10 * 1024 * _MEBIBYTE else f"{count / _MEBIBYTE / 1024:,.0f} GiB"
