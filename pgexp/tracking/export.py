"""Export of a manifest's runs to MLflow, with parent runs per sweep and configuration.

MLflow is a projection of the run folders, and can be created again: a second exporter of the same manifest finds the
runs of the first one and adds what is missing. The caller holds the exporter's lock.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from pgexp.runs.manifest import CachedRun, RunEntry, SweepManifest
from pgexp.runs.run_log import End, Row, RunLogReader, RunState
from pgexp.schema import names
from pgexp.schema.palette import COLOURS
from pgexp.statistics.estimation import estimate
from pgexp.statistics.learning_curves import iqm_band
from pgexp.tracking.artifacts import SharedProvenance, log_files
from pgexp.tracking.client import (
    Metric,
    MlflowClient,
    MlflowException,
    Run,
    SQLAlchemyError,
    connect,
    flush,
    open_experiment,
)
from pgexp.tracking.mlflow_runs import MlflowRuns, tag_cached
from pgexp.tracking.seed_run import SeedExport, mlflow_status
from pgexp.tracking.store import full_uri, is_server
from pgexp.tracking.sync_marker import write_marker
from pgexp.tracking.views import save_views

STORE_ERRORS: Final = (MlflowException, SQLAlchemyError, OSError)  # such as a locked database; the call can be repeated

_OUTAGES = ("INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE")  # other error codes concern one run
_GROWTH = 1.25  # of the ended seeds between two updates of aggregates, because intervals take a while to compute


class SweepExport:
    """Export of a manifest to MLflow. After an error of the store a call can be repeated."""

    def __init__(self, manifest: SweepManifest, growing: bool = False) -> None:
        """manifest: it was written before. growing: whether `extend` may add runs."""
        self._manifest = manifest
        self._growing = growing
        self._members: _Members | None = None
        self._openings = 0
        self._may_have_duplicates = False
        self.ended = 0  # runs whose end the store has
        self.rows = 0  # rows that the store has
        self.is_over = False  # whether all runs and their parents have ended
        self._next = 0  # the seed to start with, so that one at which the store always fails does not block others

    @property
    def is_open(self) -> bool:
        """Whether all runs exist in the store."""
        return self._members is not None

    def open(self) -> None:
        """Create the store's tables, the experiment and all runs, or find them."""
        for _ in self.opening():
            pass

    def opening(self) -> Iterator[int]:
        """Do as `open` does, and yield the number of runs that exist while they are created."""
        tracking = self._manifest.tracking
        uri = full_uri(tracking.uri)
        client = connect(uri)
        experiment = open_experiment(client, uri, tracking.experiment)
        runs = MlflowRuns(client, experiment, self._manifest)
        self._openings += 1
        self._may_have_duplicates = is_server(uri) or self._openings > 1
        self.rows = self.ended = 0
        members = _Members(client, experiment, runs)
        yield from members.add(self._manifest)
        self._members = members

    def extend(self, manifest: SweepManifest) -> None:
        """Create the runs that were added to the manifest. Raises the errors of the store.

        After an error `is_open` is false, and `open` finds the runs that were created.
        """
        self._manifest, self.is_over = manifest, False
        members, self._members = self._members, None
        if members is not None:
            for _ in members.add(manifest):
                pass
            self._members = members

    def export_rows(self, kill: bool = False) -> Iterator[None]:
        """Export the rows since the last call, and yield after each seed with progress.

        If the store refuses one run, the others are exported before the error is raised. kill: whether runs without an
        end will not continue, and are marked as killed.
        """
        assert self._members is not None
        members, refused = self._members, list[Exception]()
        count = len(members.seeds)
        for index in [(self._next + i) % count for i in range(count)]:
            seed = members.seeds[index]
            try:
                if seed.ended is None and self._export_seed(seed, kill):
                    yield
                if index in members.last_seeds:
                    members.last_seeds[index].update()
            except STORE_ERRORS as error:
                if isinstance(error, MlflowException) and error.error_code in _OUTAGES:
                    self._next = (index + 1) % count
                    raise
                refused.append(error)
        for configuration in members.configurations.values():
            configuration.update()
        is_final = kill or not self._growing
        if members.top is not None and (is_final or self.ended < count):  # a growing sweep has not ended
            members.top.update()
        if refused:
            raise refused[0]
        if self.ended == count and is_final:
            if self._may_have_duplicates:
                members.runs.delete_duplicates()
            flush(full_uri(self._manifest.tracking.uri))
            self.is_over = True
            write_marker(self._manifest)

    def _export_seed(self, seed: SeedExport, kill: bool) -> bool:
        """Export the rows of a seed since the last call; return whether there was something to export."""
        rows = seed.rows
        seed.export_killed() if kill else seed.export_rows()
        self.rows += seed.rows - rows
        self.ended += seed.ended is not None
        return seed.rows > rows or seed.ended is not None


class _Members:
    """The MLflow runs of a manifest that exist: of the sweep, of configurations and of seeds."""

    def __init__(self, client: MlflowClient, experiment: str, runs: MlflowRuns) -> None:
        self._client, self._experiment, self.runs = client, experiment, runs
        self._sweep: Run | None = None
        self._provenance: SharedProvenance | None = None
        self._known: set[str] = set()  # the `record` of runs that were added
        self.seeds: list[SeedExport] = []
        self.configurations: dict[str, ConfigurationExport] = {}
        self.last_seeds: dict[int, ConfigurationExport] = {}  # configurations by the index of their last seed
        self.top: ParentStatus | None = None

    def add(self, manifest: SweepManifest) -> Iterator[int]:
        """Create the MLflow runs of new members of a manifest; yield how many exist.

        Parents are created first, so that each run has one whenever the process is killed.
        """
        self.runs.extend(manifest)
        new = [run for run in manifest.members if run.record not in self._known]
        self._known |= {run.record for run in new}
        if manifest.sweep is None:
            self._add_seed(manifest, manifest.runs[0], None)
        else:
            yield from self._add_to_sweep(manifest, manifest.sweep, new)
        self.runs.finish()

    def _add_to_sweep(
        self, manifest: SweepManifest, sweep_id: str, new: Sequence[RunEntry | CachedRun]
    ) -> Iterator[int]:
        client = self._client
        if self._sweep is None:
            self._sweep = self.runs.sweep()
            self._provenance = SharedProvenance(client, self._sweep.info)
            self.top = ParentStatus(client, self._sweep, self.seeds, manifest.folder)
            save_views(client, self._experiment, sweep_id, self._sweep.info.start_time)
        cached = [run for run in new if isinstance(run, CachedRun)]
        tagged = tag_cached(client, self._experiment, sweep_id, cached)
        groups: dict[str, list[RunEntry | CachedRun]] = {}
        for run in new:
            groups.setdefault(run.configuration, []).append(run)
        for key, group in groups.items():
            if key not in self.configurations:
                colour = COLOURS[len(self.configurations) % len(COLOURS)]
                parent = self.runs.configuration(group, self._sweep, colour)
                self.configurations[key] = ConfigurationExport(client, parent)
            configuration = self.configurations[key]
            seeds = [self._add_seed(manifest, run, configuration.run) for run in group if isinstance(run, RunEntry)]
            others = {tagged[run.record]: run for run in cached if run in group and run.record in tagged}
            configuration.extend(seeds, others)
            if seeds:
                self.last_seeds = {i: other for i, other in self.last_seeds.items() if other is not configuration}
                self.last_seeds[len(self.seeds) - 1] = configuration
            yield len(self.configurations) + len(self.seeds)

    def _add_seed(self, manifest: SweepManifest, run: RunEntry, parent: Run | None) -> SeedExport:
        found, params = self.runs.seed(run, parent)
        folder = manifest.folder_of(run)
        self.seeds.append(SeedExport(self._client, found, run, folder, manifest.tracking, params, self._provenance))
        return self.seeds[-1]


class ParentStatus:
    """Status of a parent run in MLflow, which depends on its seeds."""

    def __init__(self, client: MlflowClient, run: Run, seeds: Sequence[SeedExport], folder: Path | None) -> None:
        """Continue from what the store has of the run.

        Args:
            client: of the store.
            run: the parent.
            seeds: a list that may grow.
            folder: its files are logged at the run's end, if it is not None.
        """
        self._client = client
        self._info = run.info
        self._seeds = seeds
        self._folder = folder
        self._stored = (run.info.status, run.info.end_time)

    def update(self) -> None:
        """End the run once all seeds have ended, or mark it as running again."""
        ends = [seed.ended for seed in self._seeds if seed.ended is not None]
        if len(ends) == len(self._seeds):
            end = mlflow_status(_joint_status(ends)), max((end.time for end in ends), default=self._info.start_time)
            if self._stored != end:
                if self._folder is not None:
                    log_files(self._client, self._info, self._folder)
                self._client.set_terminated(self._info.run_id, *end)
                self._stored = end
        elif self._stored[0] != RunState.RUNNING:
            self._client.update_run(self._info.run_id, status=RunState.RUNNING)
            self._stored = (RunState.RUNNING, None)


class ConfigurationExport:
    """A configuration's MLflow run: its status, and aggregates over the seeds that have ended."""

    def __init__(self, client: MlflowClient, run: Run) -> None:
        """Continue from what the store has; `extend` adds the seeds."""
        self.run = run
        self._client = client
        self._seeds: list[SeedExport] = []  # sorted by run id, as in the comparison
        self._status = ParentStatus(client, run, self._seeds, None)
        self._cached: dict[str, CachedRun] = {}  # by MLflow run id
        self._stored = {name: value for name, value in run.data.metrics.items() if name.startswith(names.OVER_SEEDS)}
        self._counted = 0  # seeds that had ended at the last update; -1: an update is due

    def extend(self, seeds: Sequence[SeedExport], cached: Mapping[str, CachedRun]) -> None:
        """Add seeds, and cached runs by their MLflow run ids."""
        self._seeds += seeds
        self._seeds.sort(key=lambda seed: seed.run_id)
        self._cached |= cached
        if cached:
            self._counted = -1

    def update(self) -> None:
        """Log aggregates if enough seeds have ended since the last call, and the status."""
        self._update_aggregates([seed for seed in self._seeds if seed.ended is not None])
        self._status.update()

    def _update_aggregates(self, ended: Sequence[SeedExport]) -> None:
        """Log one point per number of scores. Its time is that of the last end, so repeating it changes nothing."""
        if len(ended) == self._counted or self._counted * _GROWTH > len(ended) < len(self._seeds):
            return
        ends = [seed.ended for seed in ended if seed.ended is not None]
        time = max((end.time for end in ends), default=self.run.info.start_time)
        scores = {run.seed: run.score for run in self._cached.values() if run.score is not None}
        scores |= {seed.seed: seed.score for seed in ended if seed.score is not None}
        failed = sum(end.status == RunState.FAILED for end in ends)
        metrics = seed_aggregates([score for _, score in sorted(scores.items())], failed)
        if not metrics.items() <= self._stored.items():
            points = [Metric(name, value, time, int(metrics[names.SEEDS])) for name, value in metrics.items()]
            self._client.log_batch(self.run.info.run_id, points)
            self._stored |= metrics
        if names.CURVE_IQM not in self._stored and all(end.complete for end in ends) and len(ended) == len(self._seeds):
            self._log_curve(time)
        self._counted = len(ended)

    def _log_curve(self, time: int) -> None:
        """Log the learning curve over the seeds, once all are complete: MLflow cannot remove points."""
        cached = [self._evaluations(run_id, run) for run_id, run in self._cached.items()]
        curve = aggregate_curve([*cached, *(seed.evaluations for seed in self._seeds)])
        points = [Metric(name, value, time, steps) for steps, values in curve for name, value in values.items()]
        if points:
            self._client.log_batch(self.run.info.run_id, points)
            self._stored[names.CURVE_IQM] = points[-1].value

    def _evaluations(self, run_id: str, run: CachedRun) -> dict[int, float]:
        """Return a cached run's evaluation returns by steps: all from its folder, or the points of MLflow's curve."""
        log = Path(run.folder, names.ROWS_FILE)
        if not log.is_file():
            history = self._client.get_metric_history(run_id, names.EVALUATION_RETURN)
            return {point.step: point.value for point in history}
        rows = [item for item in RunLogReader(log).read_intact() if isinstance(item, Row)]
        returns = {row.steps: row.metrics.get(names.EVALUATION_RETURN, math.nan) for row in rows}
        return {steps: value for steps, value in returns.items() if math.isfinite(value)}


def _joint_status(ends: Sequence[End]) -> RunState:
    """Return the status of a parent: KILLED if a run was killed, FAILED if all failed, else FINISHED.

    Pruned runs are ignored, unless all were pruned.
    """
    states = {end.status for end in ends}
    if states == {RunState.PRUNED}:
        return RunState.PRUNED
    if RunState.KILLED in states:
        return RunState.KILLED
    return RunState.FAILED if states - {RunState.PRUNED} == {RunState.FAILED} else RunState.FINISHED


def seed_aggregates(scores: Sequence[float], failed: int) -> dict[str, float]:
    """Return the aggregates of a configuration as pgexp-compare shows them.

    Without a score only the counts are present, and with one score the interval is absent.

    Args:
        scores: the seeds' final returns.
        failed: the number of failed seeds.
    """
    metrics: dict[str, float] = {names.SEEDS: len(scores), names.SEEDS_FAILED: failed}
    if scores:
        iqm = estimate(scores, "iqm")
        metrics |= {names.SEEDS_IQM: iqm.value, names.SEEDS_MEAN: float(np.mean(scores))}
        if iqm.low is not None and iqm.high is not None:
            metrics |= {names.SEEDS_LOW: iqm.low, names.SEEDS_HIGH: iqm.high}
    return metrics


def aggregate_curve(seeds: Sequence[Mapping[int, float]]) -> Iterator[tuple[int, dict[str, float]]]:
    """Yield the points of a configuration's learning curve as pgexp-compare draws it: steps, and metrics by name.

    There are points at steps that all seeds have. With one seed the interval is absent.

    Args:
        seeds: per seed, its evaluation returns by steps.
    """
    curves = [sorted(seed.items()) for seed in seeds if seed]
    band = iqm_band([(steps, returns) for steps, returns in (np.array(curve, float).T for curve in curves)])
    for steps, _, *values in zip(*band, strict=True):
        named = zip((names.CURVE_IQM, names.CURVE_LOW, names.CURVE_HIGH), map(float, values), strict=True)
        yield int(steps), {name: value for name, value in named if math.isfinite(value)}
