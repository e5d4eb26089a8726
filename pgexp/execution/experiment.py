"""Experiment: the training of one run with its evaluations, checkpoints and records."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Any, Self

import numpy as np

from pgexp.algorithms.errors import Failure, RunError, StateError
from pgexp.algorithms.evaluator import EvaluationKey, EvaluationResult
from pgexp.algorithms.trainer import SavedState, require_state_attributes, state_fingerprints
from pgexp.execution.assembly import Run, assemble
from pgexp.execution.jobs import Job
from pgexp.execution.run_writer import CheckpointWriter, RunWriter, read_state
from pgexp.execution.trained_policy import describe
from pgexp.runs.provenance import ResourceUsage
from pgexp.runs.run_log import Phase, RunState
from pgexp.runs.video import write_video
from pgexp.schema import names
from pgexp.schema.determinism import nondeterminism_reason
from pgexp.schema.errors import UserError
from pgexp.schema.identity import run_key
from pgexp.statistics.number_format import format_number


@dataclass(frozen=True)
class Update:
    """Progress of a run after an update."""

    steps: int
    progress: float  # share of the budget that is spent, 0 to 1
    steps_per_second: float  # of training, evaluations excluded
    return_mean: float | None  # of the episodes that ended in this update's batch


class _RunCodeError(Exception):
    """Exception of a run's own code (its environment, baseline, ...), as opposed to one of recording it."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(str(cause))
        self.cause = cause


class Experiment:
    """A run in training and the writer of its folder: a context manager, and an iterator over updates.

        with Experiment(run, writer) as experiment:
            for update in experiment:
                ...

    When an update is yielded, its row and the evaluation due after it are recorded. At the budget's end, the iterator
    evaluates the final policy and ends the run log as FINISHED. A failure of the run ends the iterator, too, and the
    run log as FAILED; it is not raised. If the block is left earlier, a checkpoint is written and the run log ends as
    KILLED.
    """

    def __init__(self, run: Run, writer: RunWriter) -> None:
        self.run = run
        self._writer = writer
        self._trainer = run.trainer
        self._checkpoints = CheckpointWriter(writer.folder, run_key(run.config))
        self._evaluations_passed = self._evaluation_index()
        self._meter = ResourceUsage()
        self._ended = False
        self.final_evaluation: EvaluationResult | None = None
        """The final evaluation, if the run finished."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Update]:
        """Train the run and yield after each update.

        Raises OSError if the record cannot be written, and KeyboardInterrupt for one within an update; the run log
        then ends as KILLED, without another checkpoint.
        """
        with self._failures_recorded():
            yield from self._train()

    def prune(self) -> None:
        """End the run log as PRUNED: the run cannot be resumed."""
        self._end(RunState.PRUNED, Failure("pruned by the search", final=True))

    def close(self) -> None:
        """Release the environments. If the run has not ended, write a checkpoint and end the run log as KILLED."""
        try:
            if not self._ended:
                with self._failures_recorded():
                    self._write_checkpoint()
                    self._end(RunState.KILLED, Failure("interrupted"))
        finally:
            self.run.close()

    def _train(self) -> Iterator[Update]:
        trainer, config = self._trainer, self.run.config
        resumed = f", from {trainer.steps:,} steps" if trainer.steps else ""
        self._writer.log(f"training {config.env.id} with seed {config.seed}{resumed}")
        if (reason := nondeterminism_reason()) is not None:
            self._writer.log(f"bits may differ from those of other machines: {reason}")
        first_steps, first_state = trainer.steps, state_fingerprints(trainer.state.baseline)
        start = last_checkpoint = time.perf_counter()
        pauses, is_first = 0.0, True
        for metrics in self._updates():
            rate = (trainer.steps - first_steps) / (time.perf_counter() - start - pauses)
            self._writer.row(trainer.steps, trainer.progress, metrics | {names.STEPS_PER_SECOND: rate})
            if is_first:
                require_state_attributes(trainer.state.baseline, first_state)
                is_first = False
            pause = time.perf_counter()
            if self._evaluation_index() > self._evaluations_passed:
                self._evaluations_passed = self._evaluation_index()
                self._evaluate()
            seconds = config.checkpoint.seconds
            if seconds is not None and time.perf_counter() - last_checkpoint >= seconds:
                self._write_checkpoint()
                last_checkpoint = time.perf_counter()
            yield Update(trainer.steps, trainer.progress, rate, metrics.get(names.RETURN_MEAN))
            pauses += time.perf_counter() - pause
        self._write_checkpoint()  # before an evaluation that may fail
        if config.evaluation.final_episodes:
            self._evaluate_final()
        self._end(RunState.FINISHED, None)

    def _updates(self) -> Iterator[dict[str, float]]:
        with _run_code():
            yield from self._trainer.train()

    def _evaluation_index(self) -> int:
        """Return the number of multiples of `evaluation.every` that the run has passed."""
        every = self.run.config.evaluation.every
        return self._trainer.steps // every if every else 0

    def _evaluate(self) -> None:
        key = EvaluationKey(self.run.config.seed, self._trainer.steps)
        result = self._play(key, self.run.config.evaluation.episodes)
        self._write_evaluation(Phase.EVALUATION, result)
        score = float(result.returns.mean())
        self._checkpoints.write_best(self._trainer.save(), self._description(), score)

    def _evaluate_final(self) -> None:
        settings, key = self.run.config.evaluation, EvaluationKey(self.run.config.seed, "final")
        result = self._play(key, settings.final_episodes)
        self._write_evaluation(Phase.FINAL, result)
        if settings.video:
            self._write_video(key)
        self.final_evaluation = result

    def _play(self, key: EvaluationKey, episodes: int) -> EvaluationResult:
        with _run_code():
            result = self.run.evaluator.evaluate(
                self.run.parameters.views, key, episodes, self.run.config.evaluation.greedy
            )
        invalid = np.flatnonzero(~np.isfinite(result.returns))
        if len(invalid):
            value = result.returns[invalid[0]]
            raise RunError(f"the environment gave a return of {value} in episode {invalid[0]} of the evaluation")
        return result

    def _write_evaluation(self, phase: Phase, result: EvaluationResult) -> None:
        steps, returns = self._trainer.steps, result.returns
        self._writer.row(steps, self._trainer.progress, evaluation_row(phase, result), phase)
        count = f"{len(returns)} episode{'' if len(returns) == 1 else 's'}"
        self._writer.log(f"{phase} at {steps:,} steps: mean return {format_number(returns.mean())} of {count}")

    def _write_video(self, key: EvaluationKey) -> None:
        settings, env = self.run.config.evaluation, self.run.env
        path = self._writer.folder / names.VIDEO_FOLDER / "final-episode-0.mp4"
        views, episodes, greedy = self.run.parameters.views, settings.final_episodes, settings.greedy
        try:
            frames = self.run.evaluator.film(env.video_bank(), views, key, episodes, greedy)
            write_video(path, frames, env.frames_per_second)
        except Exception as error:  # a renderer may raise anything
            path.unlink(missing_ok=True)
            raise RunError(f"the video cannot be made: {type(error).__name__}: {error}") from error

    def _write_checkpoint(self) -> None:
        self._checkpoints.write_last(self._trainer.save(), self._description())

    def _description(self) -> dict[str, object]:
        return describe(self.run.config, self.run.env, self.run.policy, self._trainer.steps)

    @contextmanager
    def _failures_recorded(self) -> Iterator[None]:
        try:
            yield
        except KeyboardInterrupt:
            self._end(RunState.KILLED, Failure("interrupted"))
            raise
        except _RunCodeError as error:
            self._end(RunState.FAILED, Failure.of(error.cause))
        except OSError as error:
            self._end(RunState.FAILED, Failure.of(error))
            raise
        except Exception as error:
            self._end(RunState.FAILED, Failure.of(error))

    def _end(self, status: RunState, failure: Failure | None) -> None:
        """End the run log, unless it has ended.

        A finished run writes its policy, and so does a run that would fail again in the same way. Another failure may
        have left an update incomplete: the policy is then the last checkpoint's, from which `pgexp-resume` continues.
        """
        if self._ended:
            return
        self._ended = True
        complete = failure is None or failure.final
        if failure is not None and failure.traceback:
            self._writer.write_error(failure.traceback)
        if complete:
            self._writer.write_policy(self.run.parameters.views, self._description())
        self._meter.write(self._writer.folder)
        self._writer.end(status, "" if failure is None else failure.reason, complete)


@contextmanager
def _run_code() -> Iterator[None]:
    try:
        yield
    except (Exception, SystemExit) as error:
        raise _RunCodeError(error) from error


def open_experiment(job: Job, run: Run | None = None) -> Experiment | None:
    """Return a job's experiment at its last checkpoint, or None if it cannot be prepared: the run is FAILED then.

    run: the job's run, if it is built already. Raises OSError if the folder cannot be read or written.
    """
    writer = RunWriter(job.folder)
    try:
        state = read_state(job.folder, run_key(job.config))
        with _run_code():
            run = run or assemble(job.config)
            try:
                restore_run(run, state)
            except BaseException:
                run.close()
                raise
    except (UserError, _RunCodeError) as error:
        failure = Failure.of(error.cause if isinstance(error, _RunCodeError) else error)
        writer.write_error(failure.traceback)
        writer.end(RunState.FAILED, failure.reason)
        return None
    return Experiment(run, writer)


def restore_run(run: Run, state: SavedState | None) -> None:
    """Set a newly assembled run to a state, unless that is None. Raises UserError."""
    if state is not None:
        try:
            run.trainer.restore(state)
        except StateError as error:
            raise UserError.at("checkpoint", str(error)) from error


def evaluation_row(phase: Phase, result: EvaluationResult) -> dict[str, float]:
    """Return an evaluation's metrics by name."""
    returns = result.returns
    values = (returns.mean(), returns.std(), returns.min(), returns.max(), result.lengths.mean())
    return dict(zip(names.evaluation_metrics(phase), map(float, values), strict=True))


class Interrupts:
    """Context manager for Ctrl-C and SIGTERM: the first is noted, the second raises KeyboardInterrupt.

    A training loop calls `noted` after each update, so that the first one waits for the update.
    """

    def __init__(self) -> None:
        self._noted = False
        self._previous: dict[int, Any] = {}

    def noted(self) -> bool:
        """Return whether a signal has arrived."""
        return self._noted

    def __enter__(self) -> Self:
        """Replace the signal handlers. Only a main thread can; in others, the handlers stay as they are."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Restore the signal handlers."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._noted:
            raise KeyboardInterrupt
        self._noted = True
