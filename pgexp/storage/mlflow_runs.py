"""The runs that stand for a record in MLflow: found again where they exist, created where they do not."""

from collections.abc import Iterable, Mapping
from typing import TypeVar

from pgexp.schema.names import (
    RECORD_FILE,
    ROLE_CONFIGURATION,
    ROLE_RUN,
    ROLE_SWEEP,
    TAG_CONFIGURATION,
    TAG_CONFIGURATION_NAME,
    TAG_FOLDER,
    TAG_KEY,
    TAG_PARENT,
    TAG_RECORD,
    TAG_ROLE,
    TAG_SWEEP,
)
from pgexp.storage.mlflow_client import MlflowClient, Param, Run, artifact_location
from pgexp.storage.record import Record, RunRecord, Tracking

_DESCRIPTION = "mlflow.note.content"  # what MLflow's page of a run shows on top
_PARAM_LENGTH = 6000  # MLflow's limit, beyond which it cuts without a word

Value = TypeVar("Value")


class MlflowRuns:
    """The MLflow runs of one record: the sweep's, below it the configurations', below those the seeds'."""

    def __init__(self, client: MlflowClient, record: Record) -> None:
        """Open the experiment and look up which of the record's runs it holds already."""
        self._client = client
        self._record = record
        self._started = int((record.folder / RECORD_FILE).stat().st_mtime * 1000)
        self._experiment = open_experiment(client, record.tracking)
        self._found = {_identity(run.data.tags): run for run in self._search()}

    def sweep(self) -> Run:
        """Return the run of the record's sweep."""
        folder = str(self._record.folder.resolve())
        tags = {TAG_ROLE: ROLE_SWEEP, TAG_FOLDER: folder, _DESCRIPTION: self._record.command}
        return self._stand(self._record.name, tags, {})

    def configuration(self, seeds: Iterable[RunRecord], sweep: Run) -> Run:
        """Return the run above some seeds, with the params and tags in which all of them agree."""
        seeds = list(seeds)
        params = _agreed(seed.params for seed in seeds)
        tags = _agreed(seed.tags for seed in seeds) | _configuration_tags(seeds[0])
        tags |= {TAG_ROLE: ROLE_CONFIGURATION, TAG_PARENT: sweep.info.run_id}
        return self._stand(seeds[0].configuration_name, tags, params)

    def seed(self, run: RunRecord, parent: Run | None) -> Run:
        """Return the run of one seed, below its configuration's; a single run has nothing above it."""
        folder = str(self._record.folder_of(run).resolve())
        tags = run.tags | _configuration_tags(run) | {TAG_ROLE: ROLE_RUN, TAG_FOLDER: folder}
        tags |= {TAG_RECORD: run.record, TAG_KEY: run.key}
        tags |= {TAG_PARENT: parent.info.run_id} if parent else {_DESCRIPTION: self._record.command}
        return self._stand(run.name, tags, run.params)

    def _stand(self, name: str, tags: dict[str, str], params: Mapping[str, object]) -> Run:
        tags = self._record.tags | tags
        if self._record.sweep is not None:
            tags[TAG_SWEEP] = self._record.sweep
        run = self._found.get(_identity(tags))
        if run is None:
            run = self._client.create_run(self._experiment, self._started, tags, run_name=name)
        self._log_params(run, params)
        return run

    def _log_params(self, run: Run, params: Mapping[str, object]) -> None:
        missing = params.keys() - run.data.params.keys()  # those that stand can't be changed
        cut = [Param(key, str(params[key])[:_PARAM_LENGTH]) for key in sorted(missing)]
        self._client.log_batch(run.info.run_id, params=cut)

    def _search(self) -> Iterable[Run]:
        sweep, record = self._record.sweep, self._record.runs[0].record
        ours = f"tags.`{TAG_RECORD}` = '{record}'" if sweep is None else f"tags.`{TAG_SWEEP}` = '{sweep}'"
        token = None
        while True:
            page = self._client.search_runs([self._experiment], ours, page_token=token)
            yield from page
            token = page.token
            if not token:
                return


def open_experiment(client: MlflowClient, tracking: Tracking) -> str:
    """Return the id of the experiment of that name, which is created if need be."""
    experiment = client.get_experiment_by_name(tracking.experiment)
    if experiment is None:
        return client.create_experiment(tracking.experiment, artifact_location(tracking.uri))
    if experiment.lifecycle_stage == "deleted":
        raise ValueError(f"MLflow's experiment {tracking.experiment} is deleted: restore it, or name another")
    return experiment.experiment_id


def _identity(tags: Mapping[str, str]) -> tuple[str | None, ...]:
    """Return what tells a run from all others of its record."""
    return tuple(tags.get(tag) for tag in (TAG_ROLE, TAG_CONFIGURATION, TAG_RECORD))


def _configuration_tags(run: RunRecord) -> dict[str, str]:
    return {TAG_CONFIGURATION: run.configuration, TAG_CONFIGURATION_NAME: run.configuration_name}


def _agreed(dicts: Iterable[dict[str, Value]]) -> dict[str, Value]:
    """Return the items that are in all of some dictionaries."""
    first, *others = dicts
    return {key: value for key, value in first.items() if all(other.get(key) == value for other in others)}
