"""Which files of a folder its MLflow run keeps as artifacts: enough to stand in for the folder once that is lost."""

from pathlib import Path

from pgexp.schema.names import (
    CONFIG_FILE,
    EVALUATIONS_FOLDER,
    LOG_FILE,
    METRICS_FILE,
    POLICY_FOLDER,
    PROVENANCE_FOLDER,
    RUN_FILE,
    TIMINGS_FILE,
    VIDEO_FOLDER,
)
from pgexp.storage.mlflow_client import MlflowClient, MlflowException

_FILES = (CONFIG_FILE, RUN_FILE, METRICS_FILE, TIMINGS_FILE, LOG_FILE)
_FOLDERS = (POLICY_FOLDER, EVALUATIONS_FOLDER, VIDEO_FOLDER, PROVENANCE_FOLDER)


def log_files(client: MlflowClient, run_id: str, folder: Path) -> None:
    """Log what a folder holds of the files worth keeping with its MLflow run.

    Raises MlflowException for whatever fails: each kind of artifact store has errors of its own.
    """
    try:
        for name in _FILES:
            if (folder / name).is_file():
                client.log_artifact(run_id, str(folder / name))
        for name in _FOLDERS:
            if (folder / name).is_dir():
                client.log_artifacts(run_id, str(folder / name), name)
        for config in sorted((folder / ".hydra").glob("*.yaml")):
            client.log_artifact(run_id, str(config), "config")
    except MlflowException:
        raise
    except Exception as error:
        raise MlflowException(f"the files of {folder} can't be logged: {type(error).__name__}: {error}") from error
