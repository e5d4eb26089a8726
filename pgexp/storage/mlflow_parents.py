"""The MLflow runs above the seeds: they end with them, and a configuration's says what its seeds come to together."""

from collections.abc import Sequence
from pathlib import Path

from pgexp.schema.names import CURVE_IQM, EVALUATION_RETURN, OVER_SEEDS, SEEDS
from pgexp.storage.mlflow_client import Metric, MlflowClient, Run
from pgexp.storage.mlflow_files import log_files
from pgexp.storage.mlflow_seed import MlflowSeed
from pgexp.storage.over_seeds import curve_over_seeds, over_seeds
from pgexp.storage.record import ReusedRun
from pgexp.storage.spool import End, Status


class ParentStatus:
    """The status of a run, which follows from those of the seeds below it."""

    def __init__(self, client: MlflowClient, run: Run, seeds: Sequence[MlflowSeed], folder: Path | None) -> None:
        """Go on from what the store has of the run; the files of a folder, if it has one, are logged with it."""
        self._client = client
        self._info = run.info
        self._seeds = seeds
        self._folder = folder
        self._stored = (run.info.status, run.info.end_time)

    def follow(self) -> None:
        """End the run once all seeds have, and let it go on with the first that does."""
        ends = [seed.ended for seed in self._seeds if seed.ended is not None]
        if len(ends) == len(self._seeds):
            end = (_joint_status(ends), max((end.time for end in ends), default=self._info.start_time))
            if self._stored != end:
                if self._folder is not None:
                    log_files(self._client, self._info, self._folder)
                self._client.set_terminated(self._info.run_id, *end)
                self._stored = end
        elif self._stored[0] != "RUNNING":
            self._client.update_run(self._info.run_id, status="RUNNING")
            self._stored = ("RUNNING", None)


class ConfigurationScores:
    """What a configuration's run says of its seeds that have ended; one point for each number of scores."""

    def __init__(
        self, client: MlflowClient, run: Run, seeds: Sequence[MlflowSeed], reused: Sequence[ReusedRun]
    ) -> None:
        """Go on from what the store has; `reused` are the runs of other sweeps that count here, too."""
        self._client = client
        self._id = run.info.run_id
        self._start = run.info.start_time
        self._seeds = sorted(seeds, key=lambda seed: seed.run_id)  # of two runs of one seed, the comparison's counts
        self._others = reused
        self._reused = {run.seed: run.score for run in reused if run.score is not None}
        self._stored = {name: value for name, value in run.data.metrics.items() if name.startswith(OVER_SEEDS)}
        self._counted = -1 if reused else 0  # seeds that had ended at the last look

    def follow(self) -> None:
        """Log what the scores come to if a seed has ended since the last call.

        A point's time is that of the last end: made again, it is the same point, which MLflow keeps once.
        """
        ended = [seed for seed in self._seeds if seed.ended is not None]
        if len(ended) == self._counted:
            return
        scores = {**self._reused, **{seed.seed: seed.score for seed in ended if seed.score is not None}}
        ends = [seed.ended for seed in ended if seed.ended is not None]
        failed = sum(end.status == "FAILED" for end in ends)
        metrics = over_seeds([score for _, score in sorted(scores.items())], failed)
        if not metrics.items() <= self._stored.items():
            time = max((end.time for end in ends), default=self._start)
            points = [Metric(name, value, time, int(metrics[SEEDS])) for name, value in metrics.items()]
            self._client.log_batch(self._id, points)
            self._stored |= metrics
        if CURVE_IQM not in self._stored and all(end.complete for end in ends) and len(ended) == len(self._seeds):
            self._log_curve(max((end.time for end in ends), default=self._start))
        self._counted = len(ended)

    def _log_curve(self, time: int) -> None:
        """Log the learning curve over the seeds, once none of them can go on: a point in MLflow is never taken back."""
        histories = (self._client.get_metric_history(run.run_id, EVALUATION_RETURN) for run in self._others)
        others = [{point.step: point.value for point in history} for history in histories]
        curve = curve_over_seeds([*others, *(seed.evaluations for seed in self._seeds)])
        points = [Metric(name, value, time, steps) for steps, at in curve for name, value in at.items()]
        if points:
            self._client.log_batch(self._id, points)
            self._stored[CURVE_IQM] = points[-1].value


Parent = ParentStatus | ConfigurationScores
"""What follows the seeds below a run."""


def _joint_status(ends: Sequence[End]) -> Status:
    """Return how runs ended together: killed if any was, failed if all did."""
    statuses = {end.status for end in ends}
    return "KILLED" if "KILLED" in statuses else "FAILED" if statuses == {"FAILED"} else "FINISHED"
