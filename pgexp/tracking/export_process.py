"""Process of an exporter, ``python -m pgexp.tracking.export_process FOLDER [--growing]``: copies run logs to MLflow.

It reads the run logs every half second. Its standard input is a pipe from its parent, which never writes to it. When
the pipe closes, the parent has closed it or has died, and runs that have not ended are marked as killed. The process
ends then, or once all runs have ended. With ``--growing`` runs may be added to the manifest, and the process ends with
its input only.

Its state is written to standard output, one JSON object per line. Everything else goes to standard error, for which the
parent opens a log. After an error of the store it retries, at growing intervals while standard input is open, then
once more.
"""

import contextlib
import gc
import json
import logging
import os
import select
import sys
import traceback
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

from pgexp.runs.locking import lock
from pgexp.runs.manifest import load_manifest
from pgexp.runs.secrets import mask_uri
from pgexp.schema.names import MANIFEST_FILE
from pgexp.tracking.exporter import EXPORTER_LOCK, GROWING, ExporterState
from pgexp.tracking.store import configure_export, short_error

_PERIOD = 0.5  # seconds between two reads of the run logs
_MAX_PAUSE = 15.0  # seconds between two tries after errors of the store
_OPENED_STEP = 50  # created runs between two reports
_STDIN, _STDOUT = 0, 1


def main() -> int:
    """Run the exporter and return its exit code."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    configure_export()
    reported = ExporterState("opening")
    try:
        for state in _export(Path(sys.argv[1]), os.getppid(), GROWING in sys.argv[2:]):
            if state != reported:
                _report(state)
            if state.message and state.message != reported.message:
                logging.warning("%s", state.message)
            reported = state
    except Exception as error:
        logging.error("The exporter failed. %s", mask_uri(traceback.format_exc()))
        _report(replace(reported, state="failed", message=short_error(error)))
        return 1
    return 0


def _export(folder: Path, parent: int, growing: bool = False) -> Iterator[ExporterState]:
    """Export a folder's runs until the parent closes standard input, or all have ended and `growing` is false.

    Yields the exporter's states.
    """
    yield ExporterState("opening", runs=len(load_manifest(folder).runs))
    with lock(folder / EXPORTER_LOCK, wait=True):  # an earlier exporter may have to finish its last call
        yield from _follow(folder, parent, growing)


def _follow(folder: Path, parent: int, growing: bool) -> Iterator[ExporterState]:
    from pgexp.tracking.client import commit_without_sync
    from pgexp.tracking.export import STORE_ERRORS, SweepExport  # slow to import, and the parent does not need it

    gc.freeze()  # garbage collections that visit the million objects of modules would take a fifth of the time
    commit_without_sync()
    file_state = _manifest_state(folder)
    manifest = load_manifest(folder)
    export = SweepExport(manifest, growing)
    pause, closed = _PERIOD, False
    state = ExporterState("opening", runs=len(manifest.runs))
    while not state.final:
        try:
            if growing and (now := _manifest_state(folder)) != file_state:
                file_state, manifest = now, load_manifest(folder)
                state = replace(state, runs=len(manifest.runs))
                export.extend(manifest)
            for opened in () if export.is_open else export.opening():
                if opened >= state.opened + _OPENED_STEP:
                    yield (state := replace(state, opened=opened))
            for _ in export.export_rows(kill=closed):
                yield (state := ExporterState("recording", export.ended, state.runs, export.rows))
            is_done = closed or export.is_over
            state = ExporterState("done" if is_done else "recording", export.ended, state.runs, export.rows)
            pause = _PERIOD
        except STORE_ERRORS as error:
            state = replace(state, state="failed" if closed else state.state, message=short_error(error))
            pause = min(2 * pause, _MAX_PAUSE)
        yield state
        closed = not state.final and _is_closed(parent, pause)


def _manifest_state(folder: Path) -> tuple[int, int, int]:
    """Return values that differ once the manifest's file is replaced."""
    status = (folder / MANIFEST_FILE).stat()
    return status.st_ino, status.st_mtime_ns, status.st_size


def _is_closed(parent: int, timeout: float) -> bool:
    """Wait for `timeout` seconds, or until standard input is closed or the parent has died; return whether it is.

    The parent's id is checked, too: a worker that it forked may hold the pipe open.
    """
    return bool(select.select([_STDIN], [], [], timeout)[0]) or os.getppid() != parent


def _report(state: ExporterState) -> None:
    """Write a state. While the pipe is full, only a final state is written, so that a slow reader blocks nothing."""
    if state.final or select.select([], [_STDOUT], [], 0)[1]:
        with contextlib.suppress(BrokenPipeError):  # the parent has died
            os.write(_STDOUT, json.dumps(asdict(state)).encode() + b"\n")


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):  # output of libraries is not a state
        sys.exit(main())
