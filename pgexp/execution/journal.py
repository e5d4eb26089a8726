"""Writes down one run in its own folder: its rows, its log, its policy, its end."""

import time
from datetime import datetime
from pathlib import Path
from typing import Any

from pgexp.networks.parameters import Parameters
from pgexp.schema import names
from pgexp.storage.policy import write_policy
from pgexp.storage.spool import Row, SpoolWriter, Status


class Journal:
    """One run's folder, as it is written while the run trains. Each entry stands on disk before the call returns."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._spool = SpoolWriter(folder / names.ROWS_FILE)

    def row(self, steps: int, progress: float, metrics: dict[str, float]) -> None:
        """Record metrics at a number of training steps."""
        self._spool.append(Row(steps=steps, progress=progress, time=int(time.time() * 1000), metrics=metrics))

    def log(self, text: str) -> None:
        """Add a line to the run's log."""
        stamp = datetime.now().astimezone().isoformat(timespec="seconds")
        with (self.folder / names.LOG_FILE).open("a", encoding="utf-8") as file:
            file.write(f"{stamp}  {text}\n")

    def policy(self, parameters: Parameters, description: dict[str, Any]) -> None:
        """Keep the policy. parameters: one run's, without a run axis."""
        tensors = {name: tensor.detach().numpy().copy() for name, tensor in parameters.items()}
        write_policy(self.folder / names.POLICY_FOLDER, tensors, description)

    def end(self, status: Status, reason: str = "") -> None:
        """Close the run's record, and write its tables; nothing is added after it."""
        from pgexp.storage.tables import write_tables  # Parquet is wanted at the end only

        self.log(f"{status.lower()}{': ' if reason else ''}{reason}")
        write_tables(self.folder)
        self._spool.end(status, reason)
