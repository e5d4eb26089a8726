"""Thinning: which points of a run are shown, so that a run of any length has about as many of them."""

import math

from pgexp.schema.names import EVALUATION, FINAL
from pgexp.storage.spool import Row

_ALWAYS = (f"{EVALUATION}/", f"{FINAL}/")


class Thinning:
    """Chooses the points of one run, row by row, with no knowledge of the rows to come.

    The run's budget is cut into ``points`` equal parts, and the first training row in each is shown. So are
    the last training row, which ``rest`` returns and is only known when the run is complete, and every evaluation. The
    choice depends on the rows alone: made again, it is the same.
    """

    def __init__(self, points: int) -> None:
        """Start before the first row."""
        self._points = points
        self._part = -1
        self._rest: tuple[Row, dict[str, float]] | None = None

    def choose(self, row: Row) -> dict[str, float]:
        """Return the metrics of a row that are shown."""
        training = {name: value for name, value in row.metrics.items() if not name.startswith(_ALWAYS)}
        if not training:
            return row.metrics
        part = math.floor(row.progress * self._points)
        if part != self._part:
            self._part, self._rest = part, None
            return row.metrics
        self._rest = row, training
        return {name: value for name, value in row.metrics.items() if name not in training}

    def rest(self) -> tuple[Row, dict[str, float]] | None:
        """Return the last training row and what of it was left out, or None if it was shown."""
        return self._rest
