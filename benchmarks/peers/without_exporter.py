"""The command `pgexp` without its exporter: runs are recorded in their folders only, and nothing imports MLflow.

Usage::

    python -m benchmarks.peers.without_exporter [ARGUMENT of pgexp ...]
"""

from pathlib import Path
from unittest.mock import patch

from pgexp.cli.train import main
from pgexp.tracking.exporter import Exporter, ExporterState


class NoExporter(Exporter):
    """An exporter that is done at once and starts no process."""

    def __init__(self, folder: Path, uri: str = "", growing: bool = False) -> None:
        """Ignore what is to be exported."""

    def wait(self, timeout: float) -> ExporterState:
        """Return that everything is exported."""
        return ExporterState("done")

    def close(self) -> None:
        """Do nothing."""


if __name__ == "__main__":
    with patch.object(Exporter, "start", NoExporter):
        main()
