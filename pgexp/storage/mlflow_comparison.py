"""A comparison's way into MLflow: its files become artifacts of the sweep's run."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from pgexp.schema.names import COMPARISON_FOLDER, ROLE_SWEEP, TAG_ROLE, TAG_SWEEP
from pgexp.storage.local_artifacts import local_folder, place
from pgexp.storage.mlflow_client import MlflowClient, MlflowException, Run, found_runs


def sweep_run(client: MlflowClient, sweep: str) -> Run | None:
    """Return the MLflow run that stands for a sweep, or None where the store has none."""
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    ours = f"tags.`{TAG_ROLE}` = '{ROLE_SWEEP}' and tags.`{TAG_SWEEP}` = '{sweep}'"
    return next(found_runs(client, experiments, ours), None)


def log_comparison(client: MlflowClient, uri: str, run: Run, folder: Path, paths: Sequence[Path]) -> None:
    """Log files of a folder below comparison/, in place of whatever was logged there before.

    Raises MlflowException for whatever fails: each kind of artifact store has errors of its own. Some kinds can't
    delete; there a file that the comparison no longer has is left as it was.
    """
    try:
        local = local_folder(run.info.artifact_uri)
        if local is None:
            _clear(uri, run)
        else:
            shutil.rmtree(local / COMPARISON_FOLDER, ignore_errors=True)
        for path in paths:
            name = Path(COMPARISON_FOLDER) / path.relative_to(folder)
            if local is None:
                client.log_artifact(run.info.run_id, str(path), name.parent.as_posix())
            else:
                place(path, local / name)
    except MlflowException:
        raise
    except Exception as error:
        raise MlflowException(f"the comparison can't be logged: {type(error).__name__}: {error}") from error


def _clear(uri: str, run: Run) -> None:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    repository = get_artifact_repository(run.info.artifact_uri, tracking_uri=uri)
    if repository.list_artifacts(COMPARISON_FOLDER):
        try:
            repository.delete_artifacts(COMPARISON_FOLDER)  # type: ignore[no-untyped-call]  # MLflow gives it no types
        except (MlflowException, NotImplementedError):  # says one that can't delete
            return
