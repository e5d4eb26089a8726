"""Reproduces recorded runs, and tells what differs today and how far their numbers were found again."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from pgexp.execution.agreement import Agreement, ParameterDifference, RowDifference
from pgexp.execution.reproducing import RecordedRun, differences_of_today, read_runs, reproduce
from pgexp.schema.errors import ConfigError, Problem

_FEW = 12  # differences that are listed one by one


def reproduce_and_tell(folders: Sequence[Path], secrets: Mapping[str, str], sweep: bool) -> int:
    """Reproduce the runs of some folders and print what came of it; return 0 if all are identical, else 1.

    Raises ConfigError where the folders hold nothing that could be compared, or the runs can't be trained today.
    """
    console = Console(highlight=False)
    recorded = read_runs(folders, secrets)
    runs = [run for run in recorded if run.numbers.rows]
    if not runs:
        raise ConfigError([Problem("run", f"{folders[0]} has no row of metrics yet, so there is nothing to compare")])
    _tell_differences(runs, console)
    width = max(len(run.name) for run in runs)
    identical = 0
    for run, agreement in reproduce(runs, console):
        first, *more = verdict(agreement)
        _say(console, f"{run.name:{width}}  {first}")
        for line in more:
            _say(console, f"{'':{width}}  {line}")
        identical += agreement.identical
    if sweep:
        without = f"; {len(recorded) - len(runs)} have no row yet" if len(recorded) > len(runs) else ""
        _say(console, f"{identical} of {len(runs)} runs identical{without}")
    return 0 if identical == len(runs) else 1


def verdict(agreement: Agreement) -> list[str]:
    """Return how far a run's numbers were found again, as lines: the verdict, then what there is to it."""
    recorded, now = agreement.recorded, agreement.now
    rows = f"{agreement.equal_rows:,} of {agreement.rows:,} rows"
    parameters = f"{agreement.equal_parameters} of {agreement.parameters} parameters"
    counted = f"{rows}, {parameters}" if recorded.whole else rows
    lines = [f"identical: {counted}" if agreement.identical else f"different: only {counted} are identical"]
    if not recorded.whole:
        lines[0] += f"; recorded no further than to {recorded.steps:,} steps, before the run's end"
    if agreement.budgets:
        lines.append(f"left out: {agreement.budgets} final evaluation(s) of a budget that was extended later")
    if agreement.first is not None:
        lines.append(f"first difference: {_row(agreement.first)}")
    if agreement.most is not None:
        lines.append(f"largest difference of a parameter: {_parameter(agreement.most)}")
    if recorded.reason:
        lines.append(f"when it was recorded it ended with: {recorded.reason}")
    if now.reason and now.reason != recorded.reason and (recorded.whole or not agreement.identical):
        lines.append(f"now it ended with: {now.reason}")
    return lines


def _tell_differences(runs: Sequence[RecordedRun], console: Console) -> None:
    """Print what differs today, for each way in which it does; at the end, what can be done where the code does."""
    found = differences_of_today(runs)
    for apart, names in found.items():
        of = f", of {len(names)} of {len(runs)} runs" if len(found) > 1 else ""
        if apart.deciding:
            _say(console, f"differs today{of}:")
        else:
            _say(console, f"nothing that decides a number differs today{of}")
        for line in apart.deciding[:_FEW]:
            _say(console, f"  {line}")
        if len(apart.deciding) > _FEW:
            _say(console, f"  and {len(apart.deciding) - _FEW} more")
        for line in apart.others:
            _say(console, f"  {line} (decides no number)")
    if any(apart.code for apart in found):
        _say(console, "the code has moved on; --worktree runs the code that was recorded")


def _row(found: RowDifference) -> str:
    where = f"at {found.steps:,} steps{f', {found.phase}' if found.phase else ''}"
    if found.metric is None:
        return f"{where}: the whole row, which is {'missing now' if found.now is None else 'new'}"
    return f"{where}: {found.metric}, recorded {_value(found.recorded)}, now {_value(found.now)}{_gap(found)}"


def _value(value: float | None) -> str:
    return "absent" if value is None else repr(value)  # all digits, since the last one may be the difference


def _gap(found: RowDifference) -> str:
    if found.recorded is None or found.now is None:
        return ""
    gap = abs(found.now - found.recorded)
    if not math.isfinite(gap):
        return ""
    relative = f", relative {gap / abs(found.recorded):.2g}" if found.recorded else ""
    return f" (absolute {gap:.2g}{relative})"


def _parameter(found: ParameterDifference) -> str:
    if math.isinf(found.largest):
        return f"{found.name}, which is absent or of another shape"
    return f"{found.name}, {found.values:,} of {found.of:,} values, by up to {found.largest:.2g}"


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, soft_wrap=True)
