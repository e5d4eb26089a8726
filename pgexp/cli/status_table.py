"""How pgexp-status shows a sight: what a person reads, as high as the terminal, and what a script does."""

import shlex
from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from pgexp.cli.standing import Sight
from pgexp.execution.progress import WORDS, counted, duration, short
from pgexp.statistics.digits import written
from pgexp.storage.following import Standing
from pgexp.storage.ranking import ConfigurationStanding, ranked

NONE = "-"

_FEW = 5  # failures that are listed where not all are wanted
_LEAST = 3  # configurations that are listed on a terminal of any height
_NAME = 12  # columns that a configuration's name has at least
_FRAME = 6  # lines beside: two of headings, a rule, what is dropped, a space, the shell's prompt
_BETWEEN = 2  # columns between two of the table
_LONGEST = 200  # letters of a failure's reason


def render(sight: Sight, width: int | None, height: int | None) -> Group:
    """Return what a person reads; in a terminal of some width, and of some height what has room in it."""
    configurations = ranked(sight.record, sight.standing)
    above = [Text(sight.record.name, style="bold"), Text(summary(sight)), *_best(configurations), Text()]
    below = [*_failures(sight, height is not None), *map(Text, _advice(sight))]
    room = None if height is None else height - len(above) - len(below) - _FRAME
    table = _table(configurations, sight.standing, width, room)
    more = len(configurations) - table.row_count
    dropped = [Text(f"and {more:,} more: --all", style="dim")] if more else []
    if height is not None:
        for line in (*above, *dropped, *below):
            line.no_wrap, line.overflow = True, "ellipsis"
    return Group(*above, table, *dropped, *([Text(), *below] if below else []))


def summary(sight: Sight) -> str:
    """Return how all runs stand, in a line."""
    standing = sight.standing
    told = [f"{standing.share:.0%}", *counted(standing)]
    if standing.steps_per_second:
        told.append(f"{short(standing.steps_per_second)} steps/s")
    if standing.seconds_left is not None:
        told.append(f"{duration(standing.seconds_left)} left")
    return "  ".join(told)


def fields(sight: Sight) -> dict[str, Any]:
    """Return what a script reads, as JSON has it; what is not known is null."""
    record, standing = sight.record, sight.standing
    return {
        "folder": str(record.folder.absolute()),
        "name": record.name,
        "sweep": record.sweep,
        "training": sight.trained,
        "over": standing.is_over,
        **_counts(standing),
        "share": standing.share,
        "steps_per_second": standing.steps_per_second,
        "seconds_left": standing.seconds_left,
        "configurations": [
            {
                "name": each.name,
                **_counts(each.seeds),
                "final_return_mean": each.score,
                "final_returns": len(each.scores),
                "training_return_mean": each.return_mean,
            }
            for each in ranked(record, standing)
        ],
        "runs": [
            {
                "name": run.name,
                "folder": run.folder,
                "key": run.key,
                "state": stands.state,
                "steps": stands.steps,
                "share": stands.progress,
                "final_return_mean": stands.score,
                "training_return_mean": stands.return_mean,
                "reason": stands.end.reason if stands.end else "",
            }
            for run, stands in zip(record.members, standing.runs, strict=True)
        ],
    }


def _counts(standing: Standing) -> dict[str, int]:
    return {state: standing.count(state) for state in WORDS}


def _best(configurations: Sequence[ConfigurationStanding]) -> Iterator[Text]:
    best = configurations[0]
    if best.score is not None:
        yield Text(f"best so far  {best.name}: mean final return {written(best.score)} of {_seeds(len(best.scores))}")
    elif best.return_mean is not None:
        running = best.seeds.count("running")
        yield Text(
            f"best so far  {best.name}: mean return {written(best.return_mean)} of {_seeds(running)} in training"
        )


def _seeds(count: int) -> str:
    return f"{count} seed{'' if count == 1 else 's'}"


def _table(
    configurations: Sequence[ConfigurationStanding], whole: Standing, width: int | None, room: int | None
) -> Table:
    """Return the configurations that have room, in so many lines; a long name takes several of them."""
    headings, lines = _numbers(configurations, whole)
    widths = [max(map(len, (*heading.split("\n"), *cells))) for heading, *cells in zip(headings, *lines, strict=True)]
    name_width = None if width is None else max(_NAME, width - sum(widths) - _BETWEEN * len(widths))
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("configuration", max_width=name_width, overflow="fold")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for each, numbers in zip(configurations, lines, strict=True):
        if room is not None:
            room -= 1 if name_width is None else len(wrap(each.name, name_width))
            if room < 0 and table.row_count >= _LEAST:
                break
        table.add_row(Text(each.name), *numbers)
    return table


def _numbers(
    configurations: Sequence[ConfigurationStanding], whole: Standing
) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Return the headings of the numbers, and each configuration's; a state that no run is in has no column."""
    states = [state for state in WORDS if state == "finished" or whole.count(state)]
    headings = [*(WORDS[state] for state in states), "final\nreturn"]
    lines = [[*(f"{each.seeds.count(state):,}" for state in states), _written(each.score)] for each in configurations]
    if whole.count("running"):
        headings += ["training\nreturn", "steps/s"]
        for line, each in zip(lines, configurations, strict=True):
            rate = each.seeds.steps_per_second
            line += [_written(each.return_mean), short(rate) if rate else NONE]
    return headings, lines


def _written(value: float | None) -> str:
    return NONE if value is None else written(value)


def _failures(sight: Sight, few: bool) -> list[Text]:
    """Return a line a failed run: its folder and why."""
    failed = [
        Text(f"FAILED  {sight.record.folder_of(run)}: {_line(stands.end.reason)}")
        for run, stands in zip(sight.record.runs, sight.standing.runs, strict=False)
        if stands.state == "failed" and stands.end is not None
    ]
    if not few or len(failed) <= _FEW:
        return failed
    return [*failed[:_FEW], Text(f"and {len(failed) - _FEW:,} more that failed: --all", style="dim")]


def _line(reason: str) -> str:
    """Return a reason, which may be an error's text of many lines, in one."""
    plain = " ".join("".join(sign if sign.isprintable() else " " for sign in reason).split())
    return plain if len(plain) <= _LONGEST else f"{plain[: _LONGEST - 4]} ..."


def _advice(sight: Sight) -> Iterator[str]:
    """Yield what can be done now."""
    folder = shlex.quote(str(sight.record.folder))
    if sight.trained and sight.standing.is_over:
        yield "every run has come to its end; the command that trained them records them in MLflow"
    if not sight.trained and not sight.standing.is_over:
        yield f"nobody trains them; to go on: pgexp-resume {folder}"
    if sight.record.sweep is not None and not sight.trained and sight.standing.count("finished"):
        yield f"to compare them: pgexp-compare {folder}"
