"""Trains a pack and writes each of its runs down: training rows, evaluations, the policy, the end."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from pgexp.execution.assembly import Pack
from pgexp.execution.evaluations import Due, Evaluations
from pgexp.execution.journal import Journal
from pgexp.learning.evaluator import Outcome
from pgexp.learning.trainer import Update, train
from pgexp.networks.parameters import Parameters
from pgexp.schema import names
from pgexp.schema.identity import plain
from pgexp.statistics.digits import written
from pgexp.storage.spool import Status
from pgexp.storage.video import write_video

_SECONDS_BETWEEN_SHOWS = 0.1

Show = Callable[[float, float, Sequence[float]], None]
"""Shown now and then: the share of all budgets spent, training steps a second, the runs' latest mean returns."""


class Experiment:
    """A pack in training, and the journals of its runs."""

    def __init__(self, pack: Pack, journals: Sequence[Journal]) -> None:
        self._pack = pack
        self._journals = journals
        self._evaluations = Evaluations(pack.evaluator, pack.configs[0].evaluation)
        self._open = set(range(len(journals)))  # the runs whose record goes on
        self._passed = [0] * len(journals)  # how many multiples of evaluation.every each run has passed
        self._returns: dict[int, float] = {}  # each run's latest mean training return
        self.outcomes: dict[int, Outcome] = {}  # of the final evaluations, by run
        self.failures: dict[int, str] = {}  # why a run could not go on, by run

    def run(self, show: Show) -> None:
        """Train the pack to its end.

        Stopped by an error or an interrupt, it leaves the record of every run complete up to then, and raises it again.
        """
        try:
            self._train(show)
        except KeyboardInterrupt:
            self._stop("KILLED", "interrupted")
            raise
        except Exception as error:
            self._stop("FAILED", f"{type(error).__name__}: {error}")
            raise
        finally:
            self._pack.close()

    def _train(self, show: Show) -> None:
        pack, begun, evaluating, shown = self._pack, time.perf_counter(), 0.0, 0.0
        for config, journal in zip(pack.configs, self._journals, strict=True):
            journal.log(f"training {config.env.id} with seed {config.seed}")
        for update in train(pack.collector, pack.stacked, pack.learners):
            elapsed = time.perf_counter() - begun - evaluating
            self._record(update, elapsed)
            if elapsed >= shown + _SECONDS_BETWEEN_SHOWS:
                shown = elapsed
                share = sum(learner.progress for learner in pack.learners) / len(pack.learners)
                rate = sum(learner.steps for learner in pack.learners) / elapsed
                show(share, rate, [*self._returns.values()])
            if len(self._evaluations.waiting) >= len(self._open):
                self._evaluate()
                evaluating = time.perf_counter() - begun - elapsed
        self._evaluate()

    def _record(self, update: Update, elapsed: float) -> None:
        run, learner = update.run, self._pack.learners[update.run]
        if update.failure is not None:
            self._evaluate()  # what it had come to before is in its record
            self.failures[run] = update.failure
            self._close(run, "FAILED", update.failure)
            return
        timing = {names.STEPS_PER_SECOND: learner.steps / elapsed}
        self._journals[run].row(learner.steps, learner.progress, update.metrics | timing)
        if names.RETURN_MEAN in update.metrics:
            self._returns[run] = update.metrics[names.RETURN_MEAN]
        every = self._pack.configs[run].evaluation.every
        passed = learner.steps // every if every else 0
        if passed > self._passed[run]:
            self._passed[run] = passed
            self._wait(run, final=False)
        if learner.progress >= 1:
            self._wait(run, final=True)

    def _wait(self, run: int, final: bool) -> None:
        seed, learner = self._pack.configs[run].seed, self._pack.learners[run]
        due = Due(run, seed, learner.steps, learner.progress, final, self._parameters(run))
        self._evaluations.waiting.append(due)

    def _evaluate(self) -> None:
        for due, outcome in self._evaluations.take():
            if outcome is not None:
                self._write(due, outcome)
            if due.final:
                self._film(due)
                self._close(due.run, "FINISHED")

    def _write(self, due: Due, outcome: Outcome) -> None:
        phase = names.FINAL if due.final else names.EVALUATION
        returns = outcome.returns
        values = (returns.mean(), returns.std(), returns.min(), returns.max(), outcome.lengths.mean())
        metrics = dict(zip(names.evaluation_metrics(phase), map(float, values), strict=True))
        journal = self._journals[due.run]
        journal.row(due.steps, due.progress, metrics)
        mean = written(returns.mean())
        journal.log(f"{phase} at {due.steps:,} steps: mean return {mean} of {len(returns)} episodes")
        if due.final:
            self.outcomes[due.run] = outcome

    def _film(self, due: Due) -> None:
        settings = self._pack.configs[due.run].evaluation
        if settings.video:
            path = self._journals[due.run].folder / names.VIDEO_FOLDER / "final-episode-0.mp4"
            evaluator = self._pack.evaluator
            frames = evaluator.film(due.parameters, due.subject, settings.final_episodes, settings.greedy)
            write_video(path, frames, self._pack.env.frames_per_second)

    def _stop(self, status: Status, reason: str) -> None:
        """Evaluate what waits, so that runs that had spent their budget are finished, and close the others."""
        try:
            with suppress(Exception):
                self._evaluate()
        finally:
            for run in sorted(self._open):
                self._close(run, status, reason)

    def _close(self, run: int, status: Status, reason: str = "") -> None:
        self._open.discard(run)
        journal, config = self._journals[run], self._pack.configs[run]
        description = {
            "env": plain(config.env),
            "network": plain(config.network),
            "head": plain(config.head),
            "shared_value": config.shared,
            "observation_shape": list(self._pack.env.observation_shape),
            "action_space": self._pack.env.action_space.described(),
            "dtype": config.dtype,
            "steps": self._pack.learners[run].steps,
        }
        journal.policy(self._parameters(run), description)
        journal.end(status, reason)

    def _parameters(self, run: int) -> Parameters:
        return {name: tensor[run].clone() for name, tensor in self._pack.stacked.items()}
