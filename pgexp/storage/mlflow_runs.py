"""The runs that stand for a record in MLflow: found again where they exist, created where they do not."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TypeVar

from pgexp.schema.names import (
    RECORD_FILE,
    ROLE_CONFIGURATION,
    ROLE_RUN,
    ROLE_SWEEP,
    TAG_CONFIGURATION,
    TAG_CONFIGURATION_NAME,
    TAG_DRAINED,
    TAG_FOLDER,
    TAG_KEY,
    TAG_PARENT,
    TAG_RECORD,
    TAG_ROLE,
    TAG_SWEEP,
)
from pgexp.storage.mlflow_client import MlflowClient, Param, Run, RunTag, ViewType, found_runs, param_texts
from pgexp.storage.record import Record, ReusedRun, RunRecord

_DESCRIPTION = "mlflow.note.content"  # what MLflow's page of a run shows on top
_COLOUR = "mlflow.runColor"  # what its charts draw a run in
_DELETED = "deleted"

Value = TypeVar("Value")
Identity = tuple[str | None, ...]
_SWEEP: Identity = (ROLE_SWEEP, None, None)


@dataclass(frozen=True)
class _Wanted:
    name: str
    tags: dict[str, str]
    params: Mapping[str, object]


class MlflowRuns:
    """The MLflow runs of one record: the sweep's, below it the configurations', below those the seeds'."""

    def __init__(self, client: MlflowClient, experiment: str, record: Record) -> None:
        """Look up which of the record's runs the experiment of that id holds already; what was deleted is restored."""
        self._client = client
        self._experiment = experiment
        self._record = record
        self._started = int((record.folder / RECORD_FILE).stat().st_mtime * 1000)
        self._in_use: set[str] = set()  # the ids of the runs that were handed out
        self._made = False
        self._found: dict[Identity, Run] = {}
        for identity, run in self._one_of_each():
            if run.info.lifecycle_stage == _DELETED:
                client.restore_run(run.info.run_id)
            self._found[identity] = run

    def sweep(self) -> Run:
        """Return the run of the record's sweep."""
        tags = {TAG_ROLE: ROLE_SWEEP, TAG_FOLDER: str(self._record.folder.resolve())}
        return self._stand(_Wanted(self._record.name, tags | {_DESCRIPTION: self._record.command}, {}))

    def configuration(self, runs: Sequence[RunRecord | ReusedRun], sweep: Run, colour: str) -> Run:
        """Return the run above some seeds, with the params and tags in which all of them agree.

        A seed is none of its params even while it has a single one: others may be added, and what stands can't be
        changed.
        """
        params = {name: value for name, value in _agreed(run.params for run in runs).items() if name != "seed"}
        tags = _agreed(run.tags for run in runs if isinstance(run, RunRecord)) | _configuration_tags(runs[0])
        tags |= {TAG_ROLE: ROLE_CONFIGURATION, TAG_PARENT: sweep.info.run_id, _COLOUR: colour}
        return self._stand(_Wanted(runs[0].configuration_name, tags, params))

    def seed(self, run: RunRecord, parent: Run | None) -> Run:
        """Return the run of a seed, below its configuration's; a single run has nothing above it."""
        above = {TAG_PARENT: parent.info.run_id} if parent else {_DESCRIPTION: self._record.command}
        folder = str(self._record.folder_of(run).resolve())
        tags = run.tags | _configuration_tags(run) | {TAG_ROLE: ROLE_RUN, TAG_FOLDER: folder}
        return self._stand(_Wanted(run.name, tags | {TAG_RECORD: run.record, TAG_KEY: run.key} | above, run.params))

    def settle(self) -> None:
        """Do what is left once all runs have been handed out: each stands once, and the sweep is called what it is."""
        sweep = self._found.get(_SWEEP)
        if self._made and sweep is not None and sweep.info.run_name != self._record.name:
            self._client.update_run(sweep.info.run_id, name=self._record.name)  # which says how many runs there are
        if self._made:
            self.delete_twins()
        self._found.clear()  # the params of ten thousand runs

    def delete_twins(self) -> None:
        """Delete what stands twice: a call whose answer was lost, or a server that hung, may have made a run again."""
        for _ in self._one_of_each():
            pass

    def _one_of_each(self) -> Iterator[tuple[Identity, Run]]:
        """Yield the record's runs in the store, one of each, and delete the others.

        The one that is kept is the one in use, and else the one that has most.
        """
        groups: dict[Identity, list[Run]] = defaultdict(list)
        for run in self._search():
            groups[_identity(run.data.tags)].append(run)
        parents = {run.data.tags.get(TAG_PARENT) for group in groups.values() for run in group}
        for identity, group in groups.items():
            standing = [run for run in group if run.info.lifecycle_stage != _DELETED]
            kept, *others = sorted(standing or group, key=lambda run: _rank(run, self._in_use | parents))
            for other in others if standing else ():
                self._client.delete_run(other.info.run_id)
            yield identity, kept

    def _stand(self, wanted: _Wanted) -> Run:
        identity = _identity(wanted.tags)
        run = self._found.get(identity)
        if run is None:
            self._made = True
            of_all = self._record.tags | ({} if self._record.sweep is None else {TAG_SWEEP: self._record.sweep})
            tags = of_all | wanted.tags
            run = self._client.create_run(self._experiment, self._started, tags, run_name=wanted.name)
            self._found[identity] = run
        self._in_use.add(run.info.run_id)
        self._agree(run, wanted)
        return run

    def _agree(self, run: Run, wanted: _Wanted) -> None:
        """Give a run the params that it lacks, and its parent, which may have been made anew."""
        missing = wanted.params.keys() - run.data.params.keys()  # those that stand can't be changed
        params = [Param(key, text) for key, text in sorted(param_texts(wanted.params).items()) if key in missing]
        parent = wanted.tags.get(TAG_PARENT)
        moved = [RunTag(TAG_PARENT, parent)] if parent and parent != run.data.tags.get(TAG_PARENT) else []
        self._client.log_batch(run.info.run_id, params=params, tags=moved)

    def _search(self) -> Iterator[Run]:
        sweep = self._record.sweep
        ours = f"tags.`{TAG_SWEEP}` = '{sweep}'" if sweep else f"tags.`{TAG_RECORD}` = '{self._record.runs[0].record}'"
        return found_runs(self._client, [self._experiment], ours, ViewType.ALL)


def _identity(tags: Mapping[str, str]) -> Identity:
    """Return what tells a run from all others of its record."""
    return tuple(tags.get(tag) for tag in (TAG_ROLE, TAG_CONFIGURATION, TAG_RECORD))


def _rank(run: Run, in_use: AbstractSet[str | None]) -> tuple[bool, int, str]:
    """Return what runs of one identity are sorted by, the one to keep first."""
    return run.info.run_id not in in_use, -int(run.data.tags.get(TAG_DRAINED, 0)), run.info.run_id


def _configuration_tags(run: RunRecord | ReusedRun) -> dict[str, str]:
    return {TAG_CONFIGURATION: run.configuration, TAG_CONFIGURATION_NAME: run.configuration_name}


def _agreed(dicts: Iterable[Mapping[str, Value]]) -> dict[str, Value]:
    """Return the items that are in all of some dictionaries."""
    first, *others = [*dicts] or [{}]
    return {key: value for key, value in first.items() if all(other.get(key) == value for other in others)}
