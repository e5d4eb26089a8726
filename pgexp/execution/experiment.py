"""Trains a pack and writes each of its runs down: training rows, evaluations, checkpoints, the policy, the end."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from pgexp.execution.assembly import Pack
from pgexp.execution.checkpoints import Checkpoints
from pgexp.execution.evaluations import Due, Evaluations
from pgexp.execution.interrupts import Interrupts
from pgexp.execution.journal import Journal
from pgexp.execution.policies import describe
from pgexp.learning.evaluator import Outcome
from pgexp.learning.state import capture
from pgexp.learning.trainer import Update, train
from pgexp.learning.undeclared import fingerprints, require_declared
from pgexp.schema import names
from pgexp.schema.identity import run_key
from pgexp.statistics.digits import written
from pgexp.storage.cost import Meter
from pgexp.storage.spool import Status
from pgexp.storage.video import write_video

_SECONDS_BETWEEN_SHOWS = 0.1

Show = Callable[[float, float, Sequence[float]], None]
"""Shown now and then: the share of all budgets spent, training steps a second, the runs' latest mean returns."""


class Experiment:
    """A pack in training, and the journals of its runs. Runs that go on stand where their checkpoints left them."""

    def __init__(self, pack: Pack, journals: Sequence[Journal]) -> None:
        self._pack = pack
        self._journals = journals
        self._checkpoints = [self._checkpoints_of(run) for run in range(len(journals))]
        self._evaluations = Evaluations(pack.evaluator, pack.configs[0].evaluation)
        self._open = set(range(len(journals)))  # the runs whose record goes on
        self._passed = [self._multiples(run) for run in self._open]  # of evaluation.every that each run has passed
        self._first = [learner.steps for learner in pack.learners]  # the steps behind each run when this began
        self._returns: dict[int, float] = {}  # each run's latest mean training return
        self._meter = Meter()
        self.outcomes: dict[int, Outcome] = {}  # of the final evaluations, by run
        self.failures: dict[int, str] = {}  # why a run could not go on, by run

    def run(self, show: Show) -> None:
        """Train the pack to its end.

        Stopped by an error or an interrupt, it leaves the record of every run complete up to then, and raises it again.
        An interrupt waits for the update in hand, and then keeps a checkpoint; a second one does not wait.
        """
        try:
            with Interrupts() as interrupts:
                self._train(show, interrupts)
        except KeyboardInterrupt:
            self._stop("KILLED", "interrupted")
            raise
        except Exception as error:
            self._stop("FAILED", f"{type(error).__name__}: {error}")
            raise
        finally:
            self._pack.close()

    def _train(self, show: Show, interrupts: Interrupts) -> None:
        pack, begun, evaluating, shown = self._pack, time.perf_counter(), 0.0, 0.0
        before, kept = [fingerprints(learner.student.baseline) for learner in pack.learners], begun
        self._begin()
        for number, updates in enumerate(train(pack.collector, pack.stacked, pack.learners)):
            elapsed = time.perf_counter() - begun - evaluating
            for update in updates:
                self._record(update, elapsed)
                if not number:
                    require_declared(pack.learners[update.run].student.baseline, before[update.run])
            if elapsed >= shown + _SECONDS_BETWEEN_SHOWS:
                shown = elapsed
                share = sum(learner.progress for learner in pack.learners) / len(pack.learners)
                rate = sum(map(self._trained, range(len(pack.learners)))) / elapsed
                show(share, rate, [*self._returns.values()])
            due = interrupts.noted or self._is_due(kept)
            if due or len(self._evaluations.waiting) >= len(self._open):
                self._evaluate()
                if due:
                    self._keep()
                    kept = time.perf_counter()
                evaluating = time.perf_counter() - begun - elapsed
            if interrupts.noted:
                raise KeyboardInterrupt
        self._evaluate()

    def _begin(self) -> None:
        for run, (config, journal) in enumerate(zip(self._pack.configs, self._journals, strict=True)):
            steps = self._pack.learners[run].steps
            going_on = f", from {steps:,} steps on" if steps else ""
            journal.log(f"training {config.env.id} with seed {config.seed}{going_on}")
            if self._pack.learners[run].progress >= 1:  # it was killed between its last update and its end
                self._wait(run, final=True)

    def _record(self, update: Update, elapsed: float) -> None:
        run, learner = update.run, self._pack.learners[update.run]
        if update.failure is not None:
            self._evaluate()  # what it had come to before is in its record
            self.failures[run] = update.failure
            self._close(run, "FAILED", update.failure, complete=True)
            return
        timing = {names.STEPS_PER_SECOND: self._trained(run) / elapsed}
        self._journals[run].row(learner.steps, learner.progress, update.metrics | timing)
        if names.RETURN_MEAN in update.metrics:
            self._returns[run] = update.metrics[names.RETURN_MEAN]
        if self._multiples(run) > self._passed[run]:
            self._passed[run] = self._multiples(run)
            self._wait(run, final=False)
        if learner.progress >= 1:
            self._wait(run, final=True)

    def _trained(self, run: int) -> int:
        return self._pack.learners[run].steps - self._first[run]

    def _multiples(self, run: int) -> int:
        every = self._pack.configs[run].evaluation.every
        return self._pack.learners[run].steps // every if every else 0

    def _wait(self, run: int, final: bool) -> None:
        learner = self._pack.learners[run]
        state = capture(learner, self._pack.collector, run)
        due = Due(run, self._pack.configs[run].seed, learner.progress, final, state)
        self._evaluations.waiting.append(due)

    def _evaluate(self) -> None:
        for due, outcome in self._evaluations.take():
            if outcome is not None:
                self._write(due, outcome)
            if due.final:
                self._film(due)
                self._checkpoints[due.run].keep_last(due.state)
                self._close(due.run, "FINISHED", complete=True)

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
        else:
            self._checkpoints[due.run].keep_best(due.state, float(returns.mean()))

    def _film(self, due: Due) -> None:
        settings = self._pack.configs[due.run].evaluation
        if settings.video:
            path = self._journals[due.run].folder / names.VIDEO_FOLDER / "final-episode-0.mp4"
            evaluator = self._pack.evaluator
            frames = evaluator.film(due.parameters, due.subject, settings.final_episodes, settings.greedy)
            write_video(path, frames, self._pack.env.frames_per_second)

    def _is_due(self, kept: float) -> bool:
        seconds = self._pack.configs[0].checkpoint.seconds
        return seconds is not None and time.perf_counter() - kept >= seconds

    def _keep(self) -> None:
        """Keep a checkpoint of each run that is open; no evaluation waits, which its record would lack afterwards."""
        assert not self._evaluations.waiting
        for run in sorted(self._open):
            self._checkpoints[run].keep_last(capture(self._pack.learners[run], self._pack.collector, run))

    def _stop(self, status: Status, reason: str) -> None:
        """Evaluate what waits, so that runs that had spent their budget are finished, and close the others.

        What fails now, as all does on a full disk, is not told: what stopped the training is.
        """
        with suppress(Exception):
            self._evaluate()
        for run in sorted(self._open):
            with suppress(Exception):
                self._close(run, status, reason)

    def _close(self, run: int, status: Status, reason: str = "", complete: bool = False) -> None:
        self._open.discard(run)
        journal = self._journals[run]
        if complete:  # elsewhere the run may stand amid an update; its policy is its last checkpoint's
            parameters = {name: tensor[run].clone() for name, tensor in self._pack.stacked.items()}
            journal.policy(parameters, self._describe(run, self._pack.learners[run].steps))
        self._meter.write(journal.folder, len(self._journals))
        journal.end(status, reason, complete)

    def _checkpoints_of(self, run: int) -> Checkpoints:
        key = run_key(self._pack.configs[run])
        return Checkpoints(self._journals[run].folder, key, partial(self._describe, run))

    def _describe(self, run: int, steps: int) -> dict[str, object]:
        return describe(self._pack.configs[run], self._pack.env, self._pack.policy, steps)
