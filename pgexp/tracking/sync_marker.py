"""Marker file of a sweep that MLflow has completely, so that commands need not query the store."""

from contextlib import suppress
from typing import Final

from pgexp.runs.manifest import SweepManifest
from pgexp.schema.names import ROWS_FILE

MARKER: Final = ".synced"


def write_marker(manifest: SweepManifest) -> None:
    """Write the marker. An I/O error is ignored: it costs another query of the store."""
    with suppress(OSError):
        (manifest.folder / MARKER).write_text(_content(manifest))


def is_synced(manifest: SweepManifest) -> bool:
    """Return whether the marker exists, and no run or row was added after it."""
    marker = manifest.folder / MARKER
    return marker.is_file() and marker.read_text() == _content(manifest)


def _content(manifest: SweepManifest) -> str:
    paths = (manifest.folder_of(run) / ROWS_FILE for run in manifest.runs)
    size = sum(path.stat().st_size for path in paths if path.exists())
    return f"{len(manifest.runs)} runs, {len(manifest.cached)} cached, {size} bytes\n"
