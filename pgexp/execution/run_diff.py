"""Comparison of a run with its re-training: all metric rows and the final parameters."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pgexp.runs.metric_tables import read_metrics
from pgexp.runs.policy import read_policy
from pgexp.runs.run_log import End, Row, RunLogReader, RunState
from pgexp.schema.names import EVALUATION, FINAL, METRICS_FILE, POLICY_FOLDER, ROWS_FILE, TIMING

Place = tuple[int, str, int]
"""Key of a row: its steps, its phase, and its index among rows with equal steps and phase."""

_PHASES = (EVALUATION, FINAL)


@dataclass(frozen=True)
class RecordedNumbers:
    """Numbers in a run's folder that depend on the run's identity only."""

    rows: Mapping[Place, Mapping[str, float]]
    parameters: Mapping[str, np.ndarray]
    complete: bool  # whether the run has spent its budget, or cannot be resumed
    reason: str = ""  # why it ended early

    @property
    def steps(self) -> int:
        """The steps of the last row."""
        return max((steps for steps, _, _ in self.rows), default=0)


@dataclass(frozen=True)
class RowDifference:
    """First value in which two runs differ. None: the row or the metric is absent."""

    steps: int
    phase: str
    metric: str | None  # None: the whole row is absent in one of them
    recorded: float | None
    retrained: float | None
    is_missing: bool = False  # the whole row is absent in the re-training


@dataclass(frozen=True)
class ParameterDifference:
    """Parameter in which two runs differ most."""

    name: str
    values: int  # that differ
    size: int
    largest: float  # absolute difference; infinite if the parameter is absent, or of another shape or type


@dataclass(frozen=True)
class RunDiff:
    """Difference between a run's recorded numbers and those of its re-training."""

    rows: int  # that were compared
    equal_rows: int
    first: RowDifference | None
    parameters: int  # that were compared: those of a complete run
    equal_parameters: int
    most: ParameterDifference | None
    skipped: int  # final evaluations of shorter budgets, before the run was extended
    recorded: RecordedNumbers
    retrained: RecordedNumbers

    @property
    def identical(self) -> bool:
        """Whether both have the same numbers, bit for bit."""
        return self.first is None and self.most is None


def read_numbers(folder: Path) -> RecordedNumbers:
    """Return the numbers in a run's folder. Raises ValueError with the file's name if one is damaged.

    The rows are those of the run log or of the Parquet table, whichever has more: the table is written when a run
    stops, and a copy of a run's artifacts has no run log. Without one, a run with a final evaluation is complete.
    """
    items = RunLogReader(folder / ROWS_FILE).read()
    logged = [(item.steps, item.metrics) for item in items if isinstance(item, Row)]
    table = _read_table(folder / METRICS_FILE)
    rows = table if len(table) >= len(logged) else sorted(logged, key=lambda row: row[0])
    end = items[-1] if items and isinstance(items[-1], End) else None
    complete = end is not None and (end.complete or end.status == RunState.FINISHED)
    if not items:
        complete = any(name.startswith(f"{FINAL}/") for _, metrics in rows for name in metrics)
    policy = folder / POLICY_FOLDER
    parameters = read_policy(policy)[0] if policy.is_dir() else {}
    return RecordedNumbers(_by_place(rows), parameters, complete, end.reason if end is not None else "")


def compare(recorded: RecordedNumbers, retrained: RecordedNumbers) -> RunDiff:
    """Return the difference between a run's recorded numbers and those of its re-training.

    If the recorded run is incomplete, later rows and the parameters of the re-training are not compared.
    """
    expected = {*recorded.rows, *(retrained.rows if recorded.complete else ())}
    missing = recorded.rows.keys() - retrained.rows.keys()
    skipped = {place for place in missing if place[0] < recorded.steps and place[1] == FINAL}
    phases = ("", *_PHASES)
    places = sorted(expected - skipped, key=lambda place: (place[0], phases.index(place[1]), place[2]))
    differences = [found for place in places if (found := _row_difference(recorded, retrained, place)) is not None]
    names = sorted({*recorded.parameters, *retrained.parameters}) if recorded.complete else []
    pairs = [(name, recorded.parameters.get(name), retrained.parameters.get(name)) for name in names]
    parameters = [gap for pair in pairs if (gap := _parameter_difference(*pair)) is not None]
    return RunDiff(
        rows=len(places),
        equal_rows=len(places) - len(differences),
        first=differences[0] if differences else None,
        parameters=len(names),
        equal_parameters=len(names) - len(parameters),
        most=max(parameters, key=lambda each: each.largest, default=None),
        skipped=len(skipped),
        recorded=recorded,
        retrained=retrained,
    )


def _read_table(path: Path) -> list[tuple[int, dict[str, float]]]:
    if not path.is_file():
        return []
    try:
        rows = read_metrics(path).to_pylist()
        return [(row.pop("steps"), {name: value for name, value in row.items() if value is not None}) for row in rows]
    except (OSError, KeyError, ValueError) as error:  # raised by pyarrow
        raise ValueError(f"{path}: damaged: {error}") from error


def _by_place(rows: list[tuple[int, dict[str, float]]]) -> dict[Place, dict[str, float]]:
    seen = Counter[tuple[int, str]]()
    found = {}
    for steps, metrics in rows:
        phase = next((phase for phase in _PHASES if any(name.startswith(f"{phase}/") for name in metrics)), "")
        found[steps, phase, seen[steps, phase]] = {
            name: value for name, value in metrics.items() if not name.startswith(TIMING)
        }
        seen[steps, phase] += 1
    return found


def _row_difference(recorded: RecordedNumbers, retrained: RecordedNumbers, place: Place) -> RowDifference | None:
    """Return the first difference between two rows, by the names of their metrics."""
    steps, phase, _ = place
    before, now = recorded.rows.get(place), retrained.rows.get(place)
    if before is None or now is None:
        return RowDifference(steps, phase, None, None, None, is_missing=now is None)
    for name in sorted({*before, *now}):
        if not _are_equal(before.get(name), now.get(name)):
            return RowDifference(steps, phase, name, before.get(name), now.get(name))
    return None


def _are_equal(before: float | None, now: float | None) -> bool:
    """Return whether two values have the same bits. All NaNs are equal; zero and minus zero are not."""
    if before is None or now is None:
        return before is now
    if math.isnan(before) or math.isnan(now):
        return math.isnan(before) and math.isnan(now)
    return before == now and math.copysign(1, before) == math.copysign(1, now)


def _parameter_difference(name: str, before: np.ndarray | None, now: np.ndarray | None) -> ParameterDifference | None:
    """Return the difference of two tensors, or None if they have the same bits."""
    if before is None or now is None or before.shape != now.shape or before.dtype != now.dtype:
        size = max(0 if tensor is None else tensor.size for tensor in (before, now))
        return ParameterDifference(name, size, size, math.inf)
    if before.tobytes() == now.tobytes():
        return None
    unequal = np.frombuffer(before.tobytes(), np.uint8) != np.frombuffer(now.tobytes(), np.uint8)
    values = int(unequal.reshape(before.size, -1).any(axis=1).sum())
    gap = np.abs(before.astype(np.float64) - now.astype(np.float64))
    return ParameterDifference(name, values, before.size, float(np.nanmax(gap, initial=0.0)))
