"""Trains a pack and writes each of its runs down: training rows, evaluations, checkpoints, the policy, the end."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial

from pgexp.execution.assembly import Pack
from pgexp.execution.checkpoints import Checkpoints
from pgexp.execution.evaluations import Due, Evaluations, summed_up
from pgexp.execution.interrupts import Interrupts
from pgexp.execution.journal import Journal
from pgexp.execution.policies import describe
from pgexp.learning.evaluator import Outcome
from pgexp.learning.failure import Failure
from pgexp.learning.state import capture
from pgexp.learning.trainer import Update, train
from pgexp.learning.undeclared import fingerprints, require_declared
from pgexp.schema import names
from pgexp.schema.identity import run_key
from pgexp.statistics.digits import written
from pgexp.storage.cost import Meter
from pgexp.storage.spool import Status

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

    def run(self, show: Show, dismissed: Callable[[], bool] = lambda: False) -> None:
        """Train the pack to its end.

        Stopped by an error or an interrupt, it leaves the record of every run complete up to then, and raises it again.
        An interrupt waits for the update in hand, and then keeps a checkpoint; a second one does not wait. That the
        training is dismissed is an interrupt, too. What is one run's alone, as its environment's exceptions are, ends
        that run, and the others do not feel it.
        """
        try:
            with Interrupts(dismissed) as interrupts:
                self._train(show, interrupts)
        except KeyboardInterrupt:
            self._stop("KILLED", Failure("interrupted"))
            raise
        except Exception as error:
            self._stop("FAILED", Failure.of(error))
            raise
        finally:
            self._pack.close()

    def _train(self, show: Show, interrupts: Interrupts) -> None:
        pack, begun, evaluating, shown = self._pack, time.perf_counter(), 0.0, 0.0
        before, kept = [fingerprints(learner.student.baseline) for learner in pack.learners], begun
        self._begin()
        for number, updates in enumerate(train(pack.collector, pack.stacked, pack.learners, self.failures)):
            elapsed = time.perf_counter() - begun - evaluating
            for update in updates:
                with self._alone(update.run):
                    self._record(update, elapsed)
                    if not number and update.failure is None:
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
            self._fail(run, update.failure)
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
            if due.run in self._open:  # else it has failed before this one's turn
                with self._alone(due.run):
                    self._conclude(due, outcome)

    def _conclude(self, due: Due, outcome: Outcome | Exception | None) -> None:
        if due.final:  # kept first: where the evaluation fails, it alone is left to do
            self._checkpoints[due.run].keep_last(due.state)
        if isinstance(outcome, Exception):
            self._fail(due.run, Failure.of(outcome))
            return
        if outcome is not None:
            self._write(due, outcome)
        if due.final:
            self._film(due)
            self._close(due.run, "FINISHED", complete=True)

    def _write(self, due: Due, outcome: Outcome) -> None:
        phase = names.FINAL if due.final else names.EVALUATION
        mean, journal = outcome.returns.mean(), self._journals[due.run]
        journal.row(due.steps, due.progress, summed_up(phase, outcome))
        episodes = f"{len(outcome.returns)} episodes"
        journal.log(f"{phase} at {due.steps:,} steps: mean return {written(mean)} of {episodes}")
        if due.final:
            self.outcomes[due.run] = outcome
        else:
            self._checkpoints[due.run].keep_best(due.state, float(mean))

    def _film(self, due: Due) -> None:
        if self._pack.configs[due.run].evaluation.video:
            path = self._journals[due.run].folder / names.VIDEO_FOLDER / "final-episode-0.mp4"
            self._evaluations.film(due, path, self._pack.env.frames_per_second)

    def _is_due(self, kept: float) -> bool:
        seconds = self._pack.configs[0].checkpoint.seconds
        return seconds is not None and time.perf_counter() - kept >= seconds

    def _keep(self) -> None:
        """Keep a checkpoint of each run that is open; no evaluation waits, which its record would lack afterwards."""
        assert not self._evaluations.waiting
        for run in sorted(self._open):
            with self._alone(run):
                self._checkpoints[run].keep_last(capture(self._pack.learners[run], self._pack.collector, run))

    def _stop(self, status: Status, failure: Failure) -> None:
        """Evaluate what waits, so that runs that had spent their budget are finished, and close the others.

        What fails now, as all does on a full disk, is not told: what stopped the training is.
        """
        with suppress(Exception):
            self._evaluate()
        for run in sorted(self._open):
            with suppress(Exception):
                self._end(run, status, failure)

    @contextmanager
    def _alone(self, run: int) -> Iterator[None]:
        """Let what is raised within end one run, but a disk's error, since its neighbours would meet it as well."""
        try:
            yield
        except OSError:
            raise
        except Exception as error:
            self._fail(run, Failure.of(error))

    def _fail(self, run: int, failure: Failure) -> None:
        """End a run that can't go on, unless it has ended.

        What would come again is over, with the policy that it had last. Else the run is left to `pgexp-resume`, which
        goes on from its last checkpoint: it may stand amid an update now, and that state is none to go on from.
        """
        if run not in self._open:
            return
        self.failures[run] = failure.reason
        self._end(run, "FAILED", failure)

    def _end(self, run: int, status: Status, failure: Failure) -> None:
        if failure.traceback:
            self._journals[run].error(failure.traceback)
        self._close(run, status, failure.reason, complete=failure.final)

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
