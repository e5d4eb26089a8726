"""MLflow runs of a manifest: looked up if they exist, else created."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TypeVar

from pgexp.runs.manifest import CachedRun, RunEntry, SweepManifest
from pgexp.schema.names import (
    MANIFEST_FILE,
    REUSED,
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
    TAG_ROWS_SYNCED,
    TAG_SWEEP,
    member_tag,
)
from pgexp.tracking.client import (
    MlflowClient,
    Param,
    Run,
    RunTag,
    ViewType,
    param_texts,
    search_runs,
)

_DESCRIPTION = "mlflow.note.content"  # shown at the top of a run's page in MLflow
_COLOUR = "mlflow.runColor"  # of a run in MLflow's charts
_DELETED = "deleted"

Value = TypeVar("Value")
Identity = tuple[str | None, ...]
"""Values that distinguish a run from the others of its manifest."""


class MlflowRuns:
    """The MLflow runs of a manifest: the sweep's, its children per configuration, and their children per seed."""

    def __init__(self, client: MlflowClient, experiment: str, manifest: SweepManifest) -> None:
        """Look up the runs that the experiment with that id has already. Deleted ones are restored."""
        self._client = client
        self._experiment = experiment
        self._manifest = manifest
        self._started = int((manifest.folder / MANIFEST_FILE).stat().st_mtime * 1000)
        self._in_use: set[str] = set()  # ids of the runs that were returned
        self._has_created = False
        self._sweep: str | None = None  # id of the sweep's run
        self._sweep_name: str | None = None
        self._found: dict[Identity, Run] = {}
        for identity, run in self._unique_runs():
            if run.info.lifecycle_stage == _DELETED:
                client.restore_run(run.info.run_id)
            self._found[identity] = run

    def sweep(self) -> Run:
        """Return the run of the sweep."""
        tags = {TAG_ROLE: ROLE_SWEEP, TAG_FOLDER: str(self._manifest.folder.resolve())}
        run = self._find_or_create(self._manifest.name, tags | {_DESCRIPTION: self._manifest.command})
        self._sweep, self._sweep_name = run.info.run_id, run.info.run_name
        return run

    def configuration(self, runs: Sequence[RunEntry | CachedRun], sweep: Run, colour: str) -> Run:
        """Return the parent run of a configuration's seeds, with the params and tags that all seeds share.

        The seed is never a param of it, even of a single seed: others may be added, and params cannot be changed.
        """
        params = {name: value for name, value in _common_items(run.params for run in runs).items() if name != "seed"}
        tags = _common_items(run.tags for run in runs if isinstance(run, RunEntry)) | _configuration_tags(runs[0])
        tags |= {TAG_ROLE: ROLE_CONFIGURATION, TAG_PARENT: sweep.info.run_id, _COLOUR: colour}
        run = self._find_or_create(runs[0].configuration_name, tags)
        self._update(run, tags, _missing_params(run, params))
        return run

    def seed(self, run: RunEntry, parent: Run | None) -> tuple[Run, list[Param]]:
        """Return the run of a seed, and the params that it lacks.

        To log these with the first metrics costs half as much as a separate call. parent: the configuration's run, or
        None for a single run.
        """
        above = {TAG_PARENT: parent.info.run_id} if parent else {_DESCRIPTION: self._manifest.command}
        folder = str(self._manifest.folder_of(run).resolve())
        tags = run.tags | _configuration_tags(run) | {TAG_ROLE: ROLE_RUN, TAG_FOLDER: folder}
        tags |= {TAG_RECORD: run.record, TAG_KEY: run.key} | above
        found = self._find_or_create(run.name, tags)
        self._update(found, tags)
        return found, _missing_params(found, run.params)

    def finish(self) -> None:
        """Update the name of the sweep's run, once all runs of the manifest were returned, and free memory."""
        if self._has_created and self._sweep is not None and self._sweep_name != self._manifest.name:
            self._client.update_run(self._sweep, name=self._manifest.name)  # it contains the number of runs
            self._sweep_name = self._manifest.name
        self._has_created = False
        self._found.clear()  # it has the params of ten thousand runs

    def extend(self, manifest: SweepManifest) -> None:
        """Continue with a manifest to which runs were added."""
        self._manifest = manifest

    def delete_duplicates(self) -> None:
        """Delete duplicate runs. A run is created twice if the answer to a call is lost, or a server hangs."""
        for _ in self._unique_runs():
            pass

    def _unique_runs(self) -> Iterator[tuple[Identity, Run]]:
        """Yield the manifest's runs in the store, and delete duplicates.

        Of duplicates the one in use is kept, or else the one with the most rows.
        """
        groups: dict[Identity, list[Run]] = defaultdict(list)
        for run in self._search():
            groups[_identity(run.data.tags)].append(run)
        parents = {run.data.tags.get(TAG_PARENT) for group in groups.values() for run in group}
        for identity, group in groups.items():
            active = [run for run in group if run.info.lifecycle_stage != _DELETED]
            kept, *others = sorted(active or group, key=lambda run: _rank(run, self._in_use | parents))
            for other in others if active else ():
                self._client.delete_run(other.info.run_id)
            yield identity, kept

    def _find_or_create(self, name: str, tags: dict[str, str]) -> Run:
        identity = _identity(tags)
        run = self._found.get(identity)
        if run is None:
            self._has_created = True
            manifest = self._manifest
            all_tags = manifest.tags | ({} if manifest.sweep is None else {TAG_SWEEP: manifest.sweep}) | tags
            run = self._client.create_run(self._experiment, self._started, all_tags, run_name=name)
            self._found[identity] = run
        self._in_use.add(run.info.run_id)
        return run

    def _update(self, run: Run, tags: Mapping[str, str], params: Sequence[Param] = ()) -> None:
        """Log params that a run lacks, and its parent, which may have been created again."""
        parent = tags.get(TAG_PARENT)
        moved = [RunTag(TAG_PARENT, parent)] if parent and parent != run.data.tags.get(TAG_PARENT) else []
        self._client.log_batch(run.info.run_id, params=params, tags=moved)

    def _search(self) -> Iterator[Run]:
        sweep = self._manifest.sweep
        tag, value = (TAG_SWEEP, sweep) if sweep else (TAG_RECORD, self._manifest.runs[0].record)
        return search_runs(self._client, [self._experiment], f"tags.`{tag}` = '{value}'", ViewType.ALL)


def tag_cached(client: MlflowClient, experiment: str, sweep: str, cached: Sequence[CachedRun]) -> dict[str, str]:
    """Tag the MLflow runs of cached runs as members of a sweep; return their ids by `record`, if they exist."""
    tag, missing, found = member_tag(sweep), {run.record for run in cached}, dict[str, str]()
    for run in search_runs(client, [experiment], f"tags.`{TAG_ROLE}` = '{ROLE_RUN}'") if missing else ():
        record = run.data.tags.get(TAG_RECORD, "")
        if record in missing:
            missing.remove(record)
            found[record] = run.info.run_id
            if run.data.tags.get(tag) != REUSED:
                client.set_tag(run.info.run_id, tag, REUSED)
        if not missing:
            break
    return found


def _missing_params(run: Run, params: Mapping[str, object]) -> list[Param]:
    """Return the params that a run lacks. MLflow cannot change the others."""
    texts = sorted(param_texts(params).items())
    return [Param(key, text) for key, text in texts if key not in run.data.params]


def _identity(tags: Mapping[str, str]) -> Identity:
    return tuple(tags.get(tag) for tag in (TAG_ROLE, TAG_CONFIGURATION, TAG_RECORD))


def _rank(run: Run, in_use: AbstractSet[str | None]) -> tuple[bool, int, str]:
    """Return the sort key of duplicates; the first one is kept."""
    return run.info.run_id not in in_use, -int(run.data.tags.get(TAG_ROWS_SYNCED, 0)), run.info.run_id


def _configuration_tags(run: RunEntry | CachedRun) -> dict[str, str]:
    return {TAG_CONFIGURATION: run.configuration, TAG_CONFIGURATION_NAME: run.configuration_name}


def _common_items(mappings: Iterable[Mapping[str, Value]]) -> dict[str, Value]:
    first, *others = [*mappings] or [{}]
    return {key: value for key, value in first.items() if all(other.get(key) == value for other in others)}
