"""Cost of a run: wall and CPU time."""

import time
from pathlib import Path
from typing import Final

from pgexp.schema.names import PROVENANCE_FOLDER
from pgexp.storage.files import read_json, write_json

COST_FILE: Final = "cost.json"


class Meter:
    """Counts the seconds since it was made: of the clock, and of this process on processors, children left out."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def write(self, run_folder: Path) -> None:
        """Add the seconds until now to the cost of a run.

        A resumed run has several parts; a part that was killed by SIGKILL did not write its own.
        """
        path = run_folder / PROVENANCE_FOLDER / COST_FILE
        before = read_json(path) if path.exists() else {}
        cost = {"wall_seconds": time.perf_counter() - self._wall, "cpu_seconds": time.process_time() - self._cpu}
        total = {name: round(before.get(name, 0.0) + seconds, 3) for name, seconds in cost.items()}
        write_json(path, total | {"parts": before.get("parts", 0) + 1})
