"""Downsampling of a run's metrics to the points that MLflow gets."""

import math
from collections.abc import Iterator, Sequence

from pgexp.runs.run_log import Phase, Row
from pgexp.schema.names import is_match


class Downsampler:
    """Chooses the points of a run's curves, row by row, without knowledge of later rows.

    A curve has at most `max_points` points: the run's budget is divided into ``max_points - 1`` equal parts, and the
    curve has the first row of each part and the last row. Training rows and evaluations are counted separately; the
    final evaluation is always included. The choice depends on the rows only, so repeating it gives the same points.
    """

    def __init__(self, max_points: int, metrics: Sequence[str] = ("*",)) -> None:
        """metrics: those with a curve, by name or pattern. MLflow gets the last value of the others."""
        self._parts = max_points - 1
        self._patterns = metrics
        self._curves: dict[str, bool] = {}  # whether a metric has a curve
        self._part = {Phase.TRAINING: -1, Phase.EVALUATION: -1}  # of the last row that was chosen
        self._latest: dict[str, tuple[Row, float]] = {}  # latest value of each metric, unless it was chosen

    def choose(self, row: Row) -> dict[str, float]:
        """Return the metrics of a row that are points of a curve."""
        is_final = row.phase == Phase.FINAL
        is_chosen = is_final or self._is_first_of_part(row)
        points: dict[str, float] = {}
        for name, value in row.metrics.items():
            if is_final or (is_chosen and self._has_curve(name)):
                points[name] = value
                self._latest.pop(name, None)
            else:
                self._latest[name] = row, value
        return points

    def rest(self) -> Iterator[tuple[Row, str, float]]:
        """Yield the latest values that were not chosen, with their rows; the last points of curves are among them.

        Call it once the run is complete: the latest row of a run that may continue is not its last.
        """
        for name, (row, value) in self._latest.items():
            yield row, name, value
        self._latest.clear()

    def _is_first_of_part(self, row: Row) -> bool:
        part = math.floor(row.progress * self._parts)
        if self._parts == 0 or part == self._part[row.phase]:
            return False
        self._part[row.phase] = part
        return True

    def _has_curve(self, name: str) -> bool:
        if name not in self._curves:
            self._curves[name] = any(is_match(name, pattern) for pattern in self._patterns)
        return self._curves[name]
