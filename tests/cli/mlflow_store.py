"""Contents of an MLflow store, read with MLflow's client."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pgexp.tracking.client import MlflowClient, Run, connect


class Store:
    """The store `mlflow.db` of a folder."""

    def __init__(self, folder: Path, experiment: str = "pgexp") -> None:
        self._client: MlflowClient = connect(f"sqlite:///{folder / 'mlflow.db'}")
        found = self._client.get_experiment_by_name(experiment)
        assert found is not None
        self.every: Sequence[Run] = self._client.search_runs([found.experiment_id])
        self.runs: Mapping[str, Run] = {run.info.run_name: run for run in self.every}

    @property
    def statuses(self) -> dict[str, str]:
        """Statuses by name of the run."""
        return {name: run.info.status for name, run in self.runs.items()}

    def parent(self, name: str) -> str | None:
        """Return the name of a run's parent."""
        parent = self.runs[name].data.tags.get("mlflow.parentRunId")
        return next((name for name, run in self.runs.items() if run.info.run_id == parent), None)

    def history(self, name: str, metric: str) -> list[tuple[int, float]]:
        """Return the steps and values of a run's metric."""
        points = self._client.get_metric_history(self.runs[name].info.run_id, metric)
        return [(point.step, point.value) for point in points]

    def artifacts(self, name: str, within: str | None = None) -> set[str]:
        """Return the paths of a run's artifacts."""
        found = self._client.list_artifacts(self.runs[name].info.run_id, within)
        inner = (self.artifacts(name, item.path) for item in found if item.is_dir)
        return {item.path for item in found if not item.is_dir}.union(*inner)
