"""Synchronisation of a manifest's runs with MLflow after training."""

import gc
import time
from dataclasses import dataclass

from pgexp.runs.locking import TRAINING_LOCK, WORKERS_LOCK, LockedError, find_holder, lock
from pgexp.runs.manifest import SweepManifest
from pgexp.tracking.exporter import EXPORTER_LOCK

_PAUSES = (1.0, 4.0)  # seconds before the second and third try after an error of the store


@dataclass(frozen=True)
class SyncResult:
    """Rows and runs of a manifest that MLflow has. `training`: the lock of the process that still trains, if any."""

    runs: int = 0
    rows: int = 0
    training: LockedError | None = None


def sync(manifest: SweepManifest) -> SyncResult:
    """Copy all rows and ends of a manifest's runs to MLflow.

    A run without an end that is not in training is marked as killed. Runs in training are left to their exporter, if it
    is alive. An exporter that finishes its work is waited for. Raises the errors of the store.
    """
    training = _find_training(manifest)
    exporter_lock = manifest.folder / EXPORTER_LOCK
    if training is not None and find_holder(exporter_lock):
        return SyncResult(training=training)
    with lock(exporter_lock, wait=True):
        return _export(manifest, training)


def _export(manifest: SweepManifest, training: LockedError | None) -> SyncResult:
    from pgexp.tracking.client import commit_without_sync
    from pgexp.tracking.export import STORE_ERRORS, SweepExport  # slow to import

    gc.freeze()  # as in the exporter's process
    commit_without_sync()
    export = SweepExport(manifest)
    for pause in (*_PAUSES, None):
        try:
            if not export.is_open:
                export.open()
            for _ in export.export_rows(kill=training is None):
                pass
            break
        except STORE_ERRORS:
            if pause is None:
                raise
            time.sleep(pause)
    return SyncResult(len(manifest.runs), export.rows, training)


def _find_training(manifest: SweepManifest) -> LockedError | None:
    folders = [manifest.folder, *(manifest.folder_of(run) for run in manifest.runs)]
    locks = [manifest.folder / WORKERS_LOCK, *(folder / TRAINING_LOCK for folder in folders)]
    return next((found for path in locks if (found := find_holder(path))), None)
