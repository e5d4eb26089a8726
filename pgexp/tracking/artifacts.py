"""Artifacts of MLflow runs: files of run folders, comparisons and evaluations.

A store whose artifact locations are local folders gets files directly: MLflow's client takes a millisecond for each of
some twenty files per run.
"""

import hashlib
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Final

from pgexp.runs.files import copy_file, link_file, read_json
from pgexp.schema.names import (
    COMPARISON_FOLDER,
    CONFIG_FILE,
    COST_FILE,
    ERROR_FILE,
    EVALUATIONS_FOLDER,
    LOG_FILE,
    METRICS_FILE,
    ORIGIN_FILE,
    POLICY_FOLDER,
    PROVENANCE_FOLDER,
    ROLE_SWEEP,
    RUN_FILE,
    TAG_PROVENANCE,
    TAG_RECORD,
    TAG_ROLE,
    TAG_SWEEP,
    TIMINGS_FILE,
    VIDEO_FOLDER,
)
from pgexp.tracking.client import Metric, MlflowClient, MlflowException, Run, RunInfo, search_all_runs
from pgexp.tracking.store import local_folder

_FILES = (CONFIG_FILE, RUN_FILE, METRICS_FILE, TIMINGS_FILE, LOG_FILE, ERROR_FILE)
_FOLDERS = (POLICY_FOLDER, EVALUATIONS_FOLDER, VIDEO_FOLDER, PROVENANCE_FOLDER)
_PER_RUN: Final = (ORIGIN_FILE, COST_FILE)  # files of the provenance that no other run shares
_NEVER_MODIFIED = (".json", ".parquet", ".safetensors", ".zip")  # a new version replaces the file
_DIGITS = 12  # of a digest


class SharedProvenance:
    """Provenance that the runs of a sweep share: artifacts of the sweep's MLflow run, logged once.

    There are several versions if the sweep was resumed with other code, or if its policies import different modules.
    """

    def __init__(self, client: MlflowClient, sweep: RunInfo) -> None:
        """sweep: the MLflow run of the sweep."""
        self._client = client
        self._sweep = sweep
        self._logged: set[str] = set()
        self._hashes: dict[tuple[int, ...], str] = {}  # by inode: the folders of a sweep's runs share their files

    def log(self, folder: Path) -> str | None:
        """Log the shared provenance in a run's folder, unless it exists; return its artifact folder, or None.

        Raises MlflowException for any error.
        """
        with _as_mlflow_errors(f"the files of {folder}"):
            files = {name: path for name, path in _files_below(folder, PROVENANCE_FOLDER) if _is_shared(name)}
            if not files:
                return None
            name = f"{PROVENANCE_FOLDER}/{self._digest(files)}"
            if name not in self._logged:
                artifacts = {f"{name}/{PurePath(file).relative_to(PROVENANCE_FOLDER)}": files[file] for file in files}
                _log(self._client, self._sweep, artifacts.items())
                self._logged.add(name)
            return name

    def _digest(self, files: Mapping[str, Path]) -> str:
        lines = "".join(f"{name}\0{self._hash(path)}\n" for name, path in sorted(files.items()))
        return hashlib.sha256(lines.encode()).hexdigest()[:_DIGITS]

    def _hash(self, path: Path) -> str:
        status = path.stat()
        key = status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
        if key not in self._hashes:
            self._hashes[key] = hashlib.sha256(path.read_bytes()).hexdigest()
        return self._hashes[key]


def log_files(client: MlflowClient, run: RunInfo, folder: Path, provenance: SharedProvenance | None = None) -> None:
    """Log the files of a folder with its MLflow run. Raises MlflowException for any error.

    provenance: has logged the files that the run shares with others; they are left out.
    """
    with _as_mlflow_errors(f"the files of {folder}"):
        files = [*((name, folder / name) for name in _FILES if (folder / name).is_file())]
        files += [file for name in _FOLDERS for file in _files_below(folder, name)]
        files += [(f"config/{config.name}", config) for config in sorted((folder / ".hydra").glob("*.yaml"))]
        _log(client, run, (file for file in files if provenance is None or not _is_shared(file[0])))


def download_provenance(client: MlflowClient, run: Run, folder: Path) -> None:
    """Add the provenance that the sweep's MLflow run has, if any, to a copy of a run's artifacts.

    Raises MLflow's errors.
    """
    name, sweep = run.data.tags.get(TAG_PROVENANCE), run.data.tags.get(TAG_SWEEP)
    sweep_run = find_sweep_run(client, sweep) if name and sweep else None
    if sweep_run is None or name is None:
        return
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(client.download_artifacts(sweep_run.info.run_id, name, scratch))
        for path in source.rglob("*"):
            if path.is_file():
                copy_file(path, folder / PROVENANCE_FOLDER / path.relative_to(source))


def find_sweep_run(client: MlflowClient, sweep: str) -> Run | None:
    """Return the MLflow run of a sweep, or None."""
    condition = f"tags.`{TAG_ROLE}` = '{ROLE_SWEEP}' and tags.`{TAG_SWEEP}` = '{sweep}'"
    return next(search_all_runs(client, condition), None)


def find_run(client: MlflowClient, folder: Path) -> str | None:
    """Return the id of the MLflow run of a run's folder, or None."""
    try:
        condition = f"tags.`{TAG_RECORD}` = '{read_json(folder / RUN_FILE)['record']}'"
    except (ValueError, LookupError):  # the folder is in no manifest
        return None
    run = next(search_all_runs(client, condition), None)
    return run.info.run_id if run is not None else None


def log_comparison(client: MlflowClient, uri: str, run: Run, folder: Path, paths: Sequence[Path]) -> None:
    """Log files of a folder as artifacts in ``comparison/``, and remove what was logged there before.

    Raises MlflowException for any error. Some kinds of artifact stores cannot delete: old files then remain.
    """
    with _as_mlflow_errors("the comparison"):
        local = local_folder(run.info.artifact_uri)
        if local is None:
            _delete_comparison(uri, run)
        else:
            shutil.rmtree(local / COMPARISON_FOLDER, ignore_errors=True)
        for path in paths:
            name = Path(COMPARISON_FOLDER) / path.relative_to(folder)
            if local is None:
                client.log_artifact(run.info.run_id, str(path), name.parent.as_posix())
            else:
                copy_file(path, local / name)


def _delete_comparison(uri: str, run: Run) -> None:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    repository = get_artifact_repository(run.info.artifact_uri, tracking_uri=uri)
    if repository.list_artifacts(COMPARISON_FOLDER):
        try:
            repository.delete_artifacts(COMPARISON_FOLDER)  # type: ignore[no-untyped-call]  # MLflow gives it no types
        except (MlflowException, NotImplementedError):  # raised by a store that cannot delete
            return


def log_evaluation(
    client: MlflowClient, run_id: str, metrics: Mapping[str, float], steps: int, files: Mapping[str, Iterable[Path]]
) -> None:
    """Log an evaluation. Points that exist already are not logged again.

    Args:
        client: of the store.
        run_id: of the MLflow run whose policy was evaluated.
        metrics: values by name.
        steps: the policy's training steps.
        files: per artifact folder, the files to log there.
    """
    for folder, paths in files.items():
        for path in paths:
            client.log_artifact(run_id, str(path), folder)
    now = time.time_ns() // 1_000_000
    points = [Metric(name, value, now, steps) for name, value in metrics.items()]
    client.log_batch(run_id, [point for point in points if not _is_logged(client, run_id, point)])


def _is_logged(client: MlflowClient, run_id: str, point: Metric) -> bool:
    history = client.get_metric_history(run_id, point.key)
    return (point.step, point.value) in {(known.step, known.value) for known in history}


@contextmanager
def _as_mlflow_errors(what: str) -> Iterator[None]:
    """Turn the errors of artifact stores, each of which has its own, into MlflowExceptions."""
    try:
        yield
    except MlflowException:
        raise
    except Exception as error:
        raise MlflowException(f"{what} cannot be logged: {type(error).__name__}: {error}") from error


def _log(client: MlflowClient, run: RunInfo, artifacts: Iterable[tuple[str, Path]]) -> None:
    """Log files by the names of their artifacts."""
    local = local_folder(run.artifact_uri)
    for name, path in artifacts:
        if local is None:
            client.log_artifact(run.run_id, str(path), str(PurePath(name).parent) if "/" in name else None)
        elif path.suffix in _NEVER_MODIFIED:
            link_file(path, local / name)
        else:
            copy_file(path, local / name)


def _is_shared(name: str) -> bool:
    """Return whether an artifact is provenance that other runs of the sweep may share."""
    return name.startswith(f"{PROVENANCE_FOLDER}/") and name not in _PER_RUN


def _files_below(folder: Path, name: str) -> Iterator[tuple[str, Path]]:
    """Yield the files in a subfolder by the names of their artifacts."""
    for path in sorted((folder / name).rglob("*")):
        if path.is_file():
            yield path.relative_to(folder).as_posix(), path
