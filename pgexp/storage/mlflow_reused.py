"""Runs that a sweep reuses: in MLflow they stay where they are, and are marked as members of this sweep, too."""

from collections.abc import Sequence

from pgexp.schema.names import REUSED, member_tag
from pgexp.storage.mlflow_client import MlflowClient, MlflowException, found_runs
from pgexp.storage.record import ReusedRun

_GONE = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "INVALID_STATE")  # by how it was deleted


def mark_reused(client: MlflowClient, experiment: str, sweep: str, reused: Sequence[ReusedRun]) -> set[str]:
    """Mark the runs as members of a sweep; return the ids of those that the store has, not deleted."""
    tag = member_tag(sweep)
    if not reused:
        return set()
    marked = {run.info.run_id for run in found_runs(client, [experiment], f"tags.`{tag}` = '{REUSED}'")}
    return marked | {run.run_id for run in reused if run.run_id not in marked and _mark(client, run.run_id, tag)}


def _mark(client: MlflowClient, run_id: str, tag: str) -> bool:
    try:
        client.set_tag(run_id, tag, REUSED)
    except MlflowException as error:
        if error.error_code not in _GONE:
            raise
        return False
    return True
