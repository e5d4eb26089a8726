"""The runs that stand for a record in MLflow: found again where they exist, created where they do not."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from pgexp.storage.mlflow_client import MlflowClient, Param, Run, RunTag, ViewType
from pgexp.storage.record import Record, RunRecord

_DESCRIPTION = "mlflow.note.content"  # what MLflow's page of a run shows on top
_PARAM_LENGTH = 6000  # MLflow's limit, beyond which it cuts without a word
_DELETED = "deleted"

Value = TypeVar("Value")
Identity = tuple[str | None, ...]


@dataclass(frozen=True)
class _Wanted:
    name: str
    tags: dict[str, str]
    params: Mapping[str, object]


class MlflowRuns:
    """The MLflow runs of one record: the sweep's, below it the configurations', below those the seeds'."""

    def __init__(self, client: MlflowClient, experiment: str, record: Record) -> None:
        """Look up which of the record's runs the experiment of that id holds already."""
        self._client = client
        self._experiment = experiment
        self._record = record
        self._started = int((record.folder / RECORD_FILE).stat().st_mtime * 1000)
        self._found: dict[Identity, Run] = {}
        self.look_up()

    def look_up(self, restore: bool = True) -> None:
        """Find the record's runs, one of each: a call whose answer was lost may have made a run twice.

        The one that is kept is the one in use, and else the one that has most. A run that was deleted is restored.
        """
        groups: dict[Identity, list[Run]] = defaultdict(list)
        for run in self._search():
            groups[_identity(run.data.tags)].append(run)
        in_use = {run.info.run_id for run in self._found.values()}
        in_use |= {run.data.tags.get(TAG_PARENT) for group in groups.values() for run in group}
        for identity, group in groups.items():
            standing = [run for run in group if run.info.lifecycle_stage != _DELETED]
            kept, *others = sorted(standing or group, key=lambda run: _rank(run, in_use))
            for other in others if standing else ():
                self._client.delete_run(other.info.run_id)
            if restore and not standing:
                self._client.restore_run(kept.info.run_id)
            self._found[identity] = kept

    def sweep(self) -> Run:
        """Return the run of the record's sweep."""
        tags = {TAG_ROLE: ROLE_SWEEP, TAG_FOLDER: str(self._record.folder.resolve())}
        return self._stand([_Wanted(self._record.name, tags | {_DESCRIPTION: self._record.command}, {})])[0]

    def configurations(self, groups: Iterable[Sequence[RunRecord]], sweep: Run) -> list[Run]:
        """Return the runs above groups of seeds, with the params and tags in which all seeds of a group agree."""
        wanted = []
        for seeds in groups:
            tags = _agreed(seed.tags for seed in seeds) | _configuration_tags(seeds[0])
            tags |= {TAG_ROLE: ROLE_CONFIGURATION, TAG_PARENT: sweep.info.run_id}
            wanted.append(_Wanted(seeds[0].configuration_name, tags, _agreed(seed.params for seed in seeds)))
        return self._stand(wanted)

    def seeds(self, runs: Iterable[RunRecord], parent: Run | None) -> list[Run]:
        """Return the runs of some seeds, below their configuration's; a single run has nothing above it."""
        above = {TAG_PARENT: parent.info.run_id} if parent else {_DESCRIPTION: self._record.command}
        return self._stand([self._seed(run, above) for run in runs])

    def _seed(self, run: RunRecord, above: dict[str, str]) -> _Wanted:
        folder = str(self._record.folder_of(run).resolve())
        tags = run.tags | _configuration_tags(run) | {TAG_ROLE: ROLE_RUN, TAG_FOLDER: folder}
        return _Wanted(run.name, tags | {TAG_RECORD: run.record, TAG_KEY: run.key} | above, run.params)

    def _stand(self, wanted: Sequence[_Wanted]) -> list[Run]:
        of_all = self._record.tags | ({} if self._record.sweep is None else {TAG_SWEEP: self._record.sweep})
        missing = [each for each in wanted if _identity(each.tags) not in self._found]
        for each in missing:
            self._client.create_run(self._experiment, self._started, of_all | each.tags, run_name=each.name)
        if missing:
            self.look_up()
        return [self._agree(self._found[_identity(each.tags)], each) for each in wanted]

    def _agree(self, run: Run, wanted: _Wanted) -> Run:
        """Return a run that has the params wanted and the parent, which may have been made anew."""
        missing = wanted.params.keys() - run.data.params.keys()  # those that stand can't be changed
        params = [Param(key, str(wanted.params[key])[:_PARAM_LENGTH]) for key in sorted(missing)]
        parent = wanted.tags.get(TAG_PARENT)
        moved = [RunTag(TAG_PARENT, parent)] if parent and parent != run.data.tags.get(TAG_PARENT) else []
        self._client.log_batch(run.info.run_id, params=params, tags=moved)
        return run

    def _search(self) -> Iterator[Run]:
        sweep, record = self._record.sweep, self._record.runs[0].record
        ours = f"tags.`{TAG_RECORD}` = '{record}'" if sweep is None else f"tags.`{TAG_SWEEP}` = '{sweep}'"
        token = None
        while True:
            page = self._client.search_runs([self._experiment], ours, ViewType.ALL, page_token=token)
            yield from page
            token = page.token
            if not token:
                return


def _identity(tags: Mapping[str, str]) -> Identity:
    """Return what tells a run from all others of its record."""
    return tuple(tags.get(tag) for tag in (TAG_ROLE, TAG_CONFIGURATION, TAG_RECORD))


def _rank(run: Run, in_use: set[str | None]) -> tuple[bool, int, str]:
    """Return what runs of one identity are sorted by, the one to keep first."""
    return run.info.run_id not in in_use, -int(run.data.tags.get(TAG_DRAINED, 0)), run.info.run_id


def _configuration_tags(run: RunRecord) -> dict[str, str]:
    return {TAG_CONFIGURATION: run.configuration, TAG_CONFIGURATION_NAME: run.configuration_name}


def _agreed(dicts: Iterable[Mapping[str, Value]]) -> dict[str, Value]:
    """Return the items that are in all of some dictionaries."""
    first, *others = dicts
    return {key: value for key, value in first.items() if all(other.get(key) == value for other in others)}
