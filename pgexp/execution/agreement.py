"""Holds a run's numbers against those of the same run trained again: every row of metrics, every parameter."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pgexp.schema.names import EVALUATION, FINAL, METRICS_FILE, POLICY_FOLDER, ROWS_FILE, TIMING
from pgexp.storage.policy import read_policy
from pgexp.storage.spool import End, Row, SpoolReader
from pgexp.storage.tables import read_metrics

Place = tuple[int, str, int]
"""Where a row belongs: after how many steps, in which phase, and which one there, where there are several."""

_PHASES = (EVALUATION, FINAL)


@dataclass(frozen=True)
class Numbers:
    """What a run's folder holds of the numbers that depend on its identity alone."""

    rows: Mapping[Place, Mapping[str, float]]
    parameters: Mapping[str, np.ndarray]
    whole: bool  # whether the run came to its own end: it spent its budget, or could not go on
    reason: str = ""  # why it ended otherwise

    @property
    def steps(self) -> int:
        """After how many steps the last row was recorded."""
        return max((steps for steps, _, _ in self.rows), default=0)


@dataclass(frozen=True)
class RowDifference:
    """The first value in which two runs differ; None where the row or the metric is absent."""

    steps: int
    phase: str
    metric: str | None  # None where the whole row is
    recorded: float | None
    now: float | None


@dataclass(frozen=True)
class ParameterDifference:
    """The parameter in which two runs differ most; infinite where it is absent, or of another shape or type."""

    name: str
    values: int
    of: int
    largest: float


@dataclass(frozen=True)
class Agreement:
    """How far a run's numbers were found again."""

    rows: int  # that were to be found
    equal_rows: int
    first: RowDifference | None
    parameters: int  # of a run that came to its end
    equal_parameters: int
    most: ParameterDifference | None
    budgets: (
        int  # ends that came before the last one, when the run's budget was extended; their evaluations are left out
    )
    recorded: Numbers
    now: Numbers

    @property
    def identical(self) -> bool:
        """Whether every number that was recorded was found again, bit for bit, and no other."""
        return self.first is None and self.most is None


def read_numbers(folder: Path) -> Numbers:
    """Return the numbers of a run's folder; a ValueError names the file that is damaged.

    A run whose end was not recorded has its rows in the spool alone, or more of them there than in a table that was
    written when it first stopped. A run without a spool (a copy of its artifacts) is whole if its policy says so.
    """
    items = SpoolReader(folder / ROWS_FILE).read()
    spooled = [(item.steps, item.metrics) for item in items if isinstance(item, Row)]
    table = _table(folder / METRICS_FILE)
    rows = table if len(table) >= len(spooled) else sorted(spooled, key=lambda row: row[0])
    end = items[-1] if items and isinstance(items[-1], End) else None
    whole = end is not None and (end.complete or end.status == "FINISHED")
    if not items:
        whole = any(name.startswith(f"{FINAL}/") for _, metrics in rows for name in metrics)
    kept = (folder / POLICY_FOLDER).is_dir()
    parameters = read_policy(folder / POLICY_FOLDER)[0] if kept else {}
    return Numbers(_placed(rows), parameters, whole, end.reason if end is not None else "")


def compare(recorded: Numbers, now: Numbers) -> Agreement:
    """Return how far the recorded numbers were found again.

    Of a run that did not come to its end, what was recorded until then; what the repetition has beyond it is left out.
    """
    wanted = {*recorded.rows, *(now.rows if recorded.whole else ())}
    ended = {
        place for place in recorded.rows.keys() - now.rows.keys() if place[0] < recorded.steps and place[1] == FINAL
    }
    places = sorted(wanted - ended, key=lambda place: (place[0], _PHASES.index(place[1]) if place[1] else -1, place[2]))
    different = [place for place in places if next(_differing(recorded, now, place), None) is not None]
    names = sorted({*recorded.parameters, *now.parameters}) if recorded.whole else []
    apart = [found for name in names if (found := _apart(name, recorded.parameters, now.parameters)) is not None]
    return Agreement(
        rows=len(places),
        equal_rows=len(places) - len(different),
        first=next(_differing(recorded, now, different[0])) if different else None,
        parameters=len(names),
        equal_parameters=len(names) - len(apart),
        most=max(apart, key=lambda each: each.largest, default=None),
        budgets=len(ended),
        recorded=recorded,
        now=now,
    )


def _table(path: Path) -> list[tuple[int, dict[str, float]]]:
    if not path.is_file():
        return []
    try:
        rows = read_metrics(path).to_pylist()
        return [(row.pop("steps"), {name: value for name, value in row.items() if value is not None}) for row in rows]
    except (OSError, KeyError, ValueError) as error:  # what pyarrow raises
        raise ValueError(f"{path}: damaged: {error}") from error


def _placed(rows: list[tuple[int, dict[str, float]]]) -> dict[Place, dict[str, float]]:
    seen = Counter[tuple[int, str]]()
    placed = {}
    for steps, metrics in rows:
        phase = next((phase for phase in _PHASES if any(name.startswith(f"{phase}/") for name in metrics)), "")
        kept = {name: value for name, value in metrics.items() if not name.startswith(TIMING)}
        placed[steps, phase, seen[steps, phase]] = kept
        seen[steps, phase] += 1
    return placed


def _differing(recorded: Numbers, now: Numbers, place: Place) -> Iterator[RowDifference]:
    """Yield the differences between two rows, in the order of their metrics."""
    before, after = recorded.rows.get(place), now.rows.get(place)
    if before is None or after is None:
        yield RowDifference(place[0], place[1], None, _presence(before), _presence(after))
        return
    for name in sorted({*before, *after}):
        if not _same(before.get(name), after.get(name)):
            yield RowDifference(place[0], place[1], name, before.get(name), after.get(name))


def _presence(row: Mapping[str, float] | None) -> float | None:
    return None if row is None else math.nan


def _same(before: float | None, after: float | None) -> bool:
    """Return whether two values are the same bits; NaNs are all alike, zero and minus zero are not."""
    if before is None or after is None:
        return before is after
    return (
        before == after and math.copysign(1, before) == math.copysign(1, after)
    ) or before != before != after != after


def _apart(name: str, recorded: Mapping[str, np.ndarray], now: Mapping[str, np.ndarray]) -> ParameterDifference | None:
    """Return how far two tensors of a name are apart, or None if they are the same bits."""
    before, after = recorded.get(name), now.get(name)
    if before is None or after is None or before.shape != after.shape or before.dtype != after.dtype:
        size = max(0 if tensor is None else tensor.size for tensor in (before, after))
        return ParameterDifference(name, size, size, math.inf)
    if before.tobytes() == after.tobytes():
        return None
    unequal = np.frombuffer(before.tobytes(), np.uint8) != np.frombuffer(after.tobytes(), np.uint8)
    values = int(unequal.reshape(before.size, -1).any(axis=1).sum())
    gap = np.abs(before.astype(np.float64) - after.astype(np.float64))
    return ParameterDifference(name, values, before.size, float(np.nanmax(gap, initial=0.0)))
