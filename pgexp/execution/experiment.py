"""Experiment: trains one run and records it: training rows, evaluations, checkpoints, the policy, the end."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from pgexp.execution.assembly import Run
from pgexp.execution.checkpoints import Checkpoints
from pgexp.execution.interrupts import Interrupts
from pgexp.execution.journal import Journal
from pgexp.execution.policies import describe
from pgexp.learning.evaluator import Outcome, Subject
from pgexp.learning.failure import Failure, RunError
from pgexp.learning.state import capture
from pgexp.learning.trainer import train
from pgexp.learning.undeclared import fingerprints, require_declared
from pgexp.schema import names
from pgexp.schema.determinism import unclaimed
from pgexp.schema.identity import run_key
from pgexp.statistics.digits import written
from pgexp.storage.cost import Meter
from pgexp.storage.spool import Status
from pgexp.storage.video import write_video

_SECONDS_BETWEEN_SHOWS = 0.1

Show = Callable[[float, float, float | None], None]
"""Displays progress: the share of the budget spent, training steps per second, the latest mean training return."""


class _RunCodeError(Exception):
    """An exception of the run's own code (its environment, baseline, ...), as opposed to one of recording it."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(str(cause))
        self.cause = cause


class Experiment:
    """A run in training, and the journal of its folder. A resumed run starts from its checkpoint's state."""

    def __init__(self, run: Run, journal: Journal) -> None:
        self._run, self._journal = run, journal
        self._learner = run.learner
        self._checkpoints = Checkpoints(journal.folder, run_key(run.config), self._describe)
        self._first = run.learner.steps  # the steps of earlier parts
        self._passed = self._multiples()  # of evaluation.every
        self._meter = Meter()
        self._ended = False
        self.outcome: Outcome | None = None
        """The final evaluation, if the run finished."""

    @property
    def steps(self) -> int:
        """The training steps behind the run."""
        return self._learner.steps

    def run(
        self,
        show: Show,
        dismissed: Callable[[], bool] = lambda: False,
        pruned: Callable[[], bool] = lambda: False,
    ) -> None:
        """Train the run to its end and record it. A failure of the run ends its record as FAILED and is not raised.

        If `pruned` returns True, the run ends at once as PRUNED, and cannot be resumed.

        An interrupt waits for the current update and then writes a checkpoint; a second one does not wait. Raises
        KeyboardInterrupt for an interrupt, or if `dismissed` returns True, and OSError if the record cannot be written.
        """
        try:
            with Interrupts(dismissed) as interrupts:
                self._train(show, interrupts, pruned)
        except KeyboardInterrupt:
            self._end("KILLED", Failure("interrupted"))
            raise
        except _RunCodeError as error:
            self._end("FAILED", Failure.of(error.cause))
        except OSError as error:
            self._end("FAILED", Failure.of(error))
            raise
        except Exception as error:
            self._end("FAILED", Failure.of(error))
        finally:
            self._run.close()

    def _train(self, show: Show, interrupts: Interrupts, pruned: Callable[[], bool]) -> None:
        learner, config = self._learner, self._run.config
        resumed = f", from {learner.steps:,} steps" if learner.steps else ""
        self._journal.log(f"training {config.env.id} with seed {config.seed}{resumed}")
        if (reason := unclaimed()) is not None:
            self._journal.log(f"bits may differ from those of other machines: {reason}")
        undeclared = fingerprints(learner.student.baseline)
        begun = kept = time.perf_counter()
        evaluating, shown, number = 0.0, 0.0, 0
        updates = train(self._run.collector, learner)
        while (metrics := _next(updates)) is not None:
            elapsed = time.perf_counter() - begun - evaluating
            rate = (learner.steps - self._first) / elapsed
            self._journal.row(learner.steps, learner.progress, metrics | {names.STEPS_PER_SECOND: rate})
            if number == 0:
                require_declared(learner.student.baseline, undeclared)
            number += 1
            if elapsed >= shown + _SECONDS_BETWEEN_SHOWS:
                shown = elapsed
                show(learner.progress, rate, metrics.get(names.RETURN_MEAN))
            if pruned():
                self._end("PRUNED", Failure("pruned by the search", final=True))
                return
            before = time.perf_counter()
            if self._multiples() > self._passed:
                self._passed = self._multiples()
                self._evaluate()
            if interrupts.noted or self._is_due(kept):
                self._checkpoints.keep_last(capture(learner, self._run.collector))
                kept = time.perf_counter()
            evaluating += time.perf_counter() - before
            if interrupts.noted:
                raise KeyboardInterrupt
        self._finish()

    def _finish(self) -> None:
        """Write the last checkpoint, evaluate the final policy, and end the record."""
        self._checkpoints.keep_last(capture(self._learner, self._run.collector))  # before an evaluation that may fail
        settings = self._run.config.evaluation
        if settings.final_episodes:
            outcome = self._played(Subject(self._run.config.seed, "final"), settings.final_episodes)
            self._write(names.FINAL, outcome)
            if settings.video:
                self._film()
            self.outcome = outcome
        self._end("FINISHED", None)

    def _evaluate(self) -> None:
        subject = Subject(self._run.config.seed, self._learner.steps)
        outcome = self._played(subject, self._run.config.evaluation.episodes)
        self._write(names.EVALUATION, outcome)
        state = capture(self._learner, self._run.collector)
        self._checkpoints.keep_best(state, float(outcome.returns.mean()))

    def _played(self, subject: Subject, episodes: int) -> Outcome:
        greedy = self._run.config.evaluation.greedy
        with _code_of_run():
            outcome = self._run.evaluator.evaluate(self._run.parameters.views, subject, episodes, greedy)
        broken = np.flatnonzero(~np.isfinite(outcome.returns))
        if len(broken):
            value = outcome.returns[broken[0]]
            raise RunError(f"the environment gave a return of {value} in episode {broken[0]} of the evaluation")
        return outcome

    def _write(self, phase: str, outcome: Outcome) -> None:
        steps, returns = self._learner.steps, outcome.returns
        self._journal.row(steps, self._learner.progress, evaluation_row(phase, outcome))
        count = f"{len(returns)} episode{'' if len(returns) == 1 else 's'}"
        self._journal.log(f"{phase} at {steps:,} steps: mean return {written(returns.mean())} of {count}")

    def _film(self) -> None:
        settings, env = self._run.config.evaluation, self._run.env
        path = self._journal.folder / names.VIDEO_FOLDER / "final-episode-0.mp4"
        subject = Subject(self._run.config.seed, "final")
        parameters = self._run.parameters.views
        try:
            frames = self._run.evaluator.film(
                env.filmed(), parameters, subject, settings.final_episodes, settings.greedy
            )
            write_video(path, frames, env.frames_per_second)
        except Exception as error:  # a renderer may raise anything
            path.unlink(missing_ok=True)
            raise RunError(f"the film cannot be made: {type(error).__name__}: {error}") from error

    def _is_due(self, kept: float) -> bool:
        seconds = self._run.config.checkpoint.seconds
        return seconds is not None and time.perf_counter() - kept >= seconds

    def _multiples(self) -> int:
        every = self._run.config.evaluation.every
        return self._learner.steps // every if every else 0

    def _end(self, status: Status, failure: Failure | None) -> None:
        """End the record, unless it has ended.

        A finished run, and one that would fail again in the same way, leaves its policy. Any other failure may have
        left an update incomplete: the policy is the last checkpoint's, from which `pgexp-resume` continues.
        """
        if self._ended:
            return
        self._ended = True
        journal, complete = self._journal, failure is None or failure.final
        if failure is not None and failure.traceback:
            journal.error(failure.traceback)
        if complete:
            journal.policy(self._run.parameters.views, self._describe(self._learner.steps))
        self._meter.write(journal.folder)
        journal.end(status, "" if failure is None else failure.reason, complete)

    def _describe(self, steps: int) -> dict[str, object]:
        return describe(self._run.config, self._run.env, self._run.policy, steps)


@contextmanager
def _code_of_run() -> Iterator[None]:
    try:
        yield
    except (Exception, SystemExit) as error:
        raise _RunCodeError(error) from error


def _next(updates: Iterator[dict[str, float]]) -> dict[str, float] | None:
    with _code_of_run():
        return next(updates, None)


def evaluation_row(phase: str, outcome: Outcome) -> dict[str, float]:
    """Return an outcome's metrics by name; the phase is names.EVALUATION or names.FINAL."""
    returns = outcome.returns
    values = (returns.mean(), returns.std(), returns.min(), returns.max(), outcome.lengths.mean())
    return dict(zip(names.evaluation_metrics(phase), map(float, values), strict=True))
