"""An evaluation's way into MLflow: to the run whose policy was evaluated."""

import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from pgexp.schema.names import RUN_FILE, TAG_RECORD
from pgexp.storage.files import read_json
from pgexp.storage.mlflow_client import Metric, MlflowClient


def find_run(client: MlflowClient, folder: Path) -> str | None:
    """Return the id of the MLflow run that a run's folder was recorded as, or None where the store has none."""
    try:
        ours = f"tags.`{TAG_RECORD}` = '{read_json(folder / RUN_FILE)['record']}'"
    except (ValueError, LookupError):  # a folder that no record is of
        return None
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    found = client.search_runs(experiments, ours, max_results=1)
    return found[0].info.run_id if found else None


def log_evaluation(
    client: MlflowClient, run_id: str, metrics: Mapping[str, float], steps: int, files: Mapping[str, Iterable[Path]]
) -> None:
    """Log an evaluation's metrics, at its policy's steps, and its files, by the artifact folder that each belongs in.

    The same evaluation logged again adds no point.
    """
    for folder, paths in files.items():
        for path in paths:
            client.log_artifact(run_id, str(path), folder)
    now = time.time_ns() // 1_000_000
    points = [Metric(name, value, now, steps) for name, value in metrics.items()]
    client.log_batch(run_id, [point for point in points if not _stands(client, run_id, point)])


def _stands(client: MlflowClient, run_id: str, point: Metric) -> bool:
    history = client.get_metric_history(run_id, point.key)
    return (point.step, point.value) in {(known.step, known.value) for known in history}
