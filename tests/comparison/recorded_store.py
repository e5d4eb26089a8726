"""A store with runs of a sweep, of its configurations and of their seeds, with artifacts."""

import itertools
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pgexp.schema import names
from pgexp.tracking.client import MlflowClient, Param, connect


class RecordedStore:
    """A copy of a fresh store in its own folder, with methods that write runs."""

    def __init__(self, fresh: Path, folder: Path) -> None:
        self.folder = folder
        self.uri = f"sqlite:///{shutil.copy(fresh, folder / 'mlflow.db')}"
        self.client: MlflowClient = connect(self.uri)
        self.experiment = self.add_experiment("cartpole")
        self._parents: dict[tuple[str, str], str] = {}
        self._clock = itertools.count(1_700_000_000_000, 1000)

    def add_experiment(self, name: str) -> str:
        return self.client.create_experiment(name, (self.folder / "artifacts").as_uri())

    def sweep(self, sweep: str, experiment: str | None = None) -> None:
        tags = {names.TAG_ROLE: names.ROLE_SWEEP, names.TAG_SWEEP: sweep}
        self._run(f"sweep {sweep}", tags, {}, experiment=experiment)

    def seed(
        self,
        seed: int,
        score: float | None = None,
        *,
        name: str = "baseline=none",
        sweep: str | None = None,
        configuration: str | None = None,
        status: str = "FINISHED",
        threshold: float | None = None,
        params: Mapping[str, object] | None = None,
        columns: Mapping[str, Sequence[float | None]] | None = None,
        tags: Mapping[str, str] | None = None,
        nan: bool = False,
        experiment: str | None = None,
    ) -> str:
        """Record the run of one seed, in a sweep below its configuration's run; return its id.

        columns are those of its Parquet artifact, if it has one. None is an absent value, and NaN too unless `nan` is
        set. tags are additional ones.
        """
        further = dict(tags or {})
        tags = {names.TAG_CONFIGURATION: configuration or f"key of {name}", names.TAG_CONFIGURATION_NAME: name}
        if sweep is not None:
            tags[names.TAG_SWEEP] = sweep
            tags[names.TAG_PARENT] = self._parent(sweep, name, tags, experiment)
        if threshold is not None:
            tags[names.TAG_THRESHOLD] = str(threshold)
        tags |= {names.TAG_ROLE: names.ROLE_RUN, names.TAG_FOLDER: str(self.folder)} | further
        described = {"env.id": "CartPole-v1", **(params or {}), "seed": seed}
        run = self._run(f"{name} seed={seed}", tags, described, experiment=experiment)
        if score is not None:
            self.client.log_metric(run, names.FINAL_RETURN, score)
        if columns is not None:
            self._log_columns(run, columns, nan)
        self.client.set_terminated(run, status) if status != "RUNNING" else None
        return run

    def _parent(self, sweep: str, name: str, tags: dict[str, str], experiment: str | None) -> str:
        if (sweep, name) not in self._parents:
            tags = tags | {names.TAG_ROLE: names.ROLE_CONFIGURATION}
            self._parents[sweep, name] = self._run(name, tags, {}, experiment=experiment)
        return self._parents[sweep, name]

    def _run(self, name: str, tags: dict[str, str], params: Mapping[str, object], experiment: str | None) -> str:
        run = self.client.create_run(experiment or self.experiment, next(self._clock), tags, run_name=name)
        self.client.log_batch(run.info.run_id, params=[Param(key, str(value)) for key, value in params.items()])
        return str(run.info.run_id)

    def _log_columns(self, run: str, columns: Mapping[str, Sequence[float | None]], nan: bool) -> None:
        path = self.folder / names.METRICS_FILE
        typed = {name: pa.int64() if name == "steps" else pa.float64() for name in columns}
        arrays = {name: pa.array(column, typed[name], from_pandas=not nan) for name, column in columns.items()}
        pq.write_table(pa.table(arrays), path)
        self.client.log_artifact(run, str(path))
        path.unlink()
