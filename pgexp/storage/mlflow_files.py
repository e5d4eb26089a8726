"""Which files of a folder its MLflow run keeps as artifacts: enough to stand in for the folder once that is lost."""

from collections.abc import Iterator
from pathlib import Path, PurePath

from pgexp.schema.names import (
    CODE_FILE,
    CONFIG_FILE,
    ERROR_FILE,
    EVALUATIONS_FOLDER,
    LOG_FILE,
    METRICS_FILE,
    POLICY_FOLDER,
    PROVENANCE_FOLDER,
    RUN_FILE,
    TIMINGS_FILE,
    VIDEO_FOLDER,
)
from pgexp.storage.local_artifacts import local_folder, place, share
from pgexp.storage.mlflow_client import MlflowClient, MlflowException, RunInfo

_FILES = (CONFIG_FILE, RUN_FILE, METRICS_FILE, TIMINGS_FILE, LOG_FILE, ERROR_FILE)
_FOLDERS = (POLICY_FOLDER, EVALUATIONS_FOLDER, VIDEO_FOLDER, PROVENANCE_FOLDER)


def log_files(client: MlflowClient, run: RunInfo, folder: Path) -> None:
    """Log what a folder holds of the files worth keeping with its MLflow run.

    Raises MlflowException for whatever fails: each kind of artifact store has errors of its own.
    """
    try:
        local = local_folder(run.artifact_uri)
        for name, path in _kept(folder):
            if local is None:
                client.log_artifact(run.run_id, str(path), str(PurePath(name).parent) if "/" in name else None)
            elif name == CODE_FILE:  # a quarter of a megabyte, the same in each run of a sweep
                share(path, local / name)
            else:
                place(path, local / name)
    except MlflowException:
        raise
    except Exception as error:
        raise MlflowException(f"the files of {folder} can't be logged: {type(error).__name__}: {error}") from error


def _kept(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the files that are kept, by the name of their artifact."""
    for name in _FILES:
        if (folder / name).is_file():
            yield name, folder / name
    for name in _FOLDERS:
        for path in sorted((folder / name).rglob("*")):
            if path.is_file():
                yield path.relative_to(folder).as_posix(), path
    for config in sorted((folder / ".hydra").glob("*.yaml")):
        yield f"config/{config.name}", config
