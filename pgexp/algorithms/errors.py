"""Errors that end a run, and the recorded reason of a failure."""

import traceback
from dataclasses import dataclass
from typing import ClassVar


class RunError(Exception):
    """A reason why a run cannot continue; the message explains it without a traceback."""

    final: ClassVar[bool] = False
    """Whether resuming from the last checkpoint would fail in the same way."""


class DivergenceError(RunError):
    """A number of the run is not finite."""

    final = True


class StateError(RunError):
    """A saved state belongs to another run, or a state cannot be saved or restored."""


class ReplayError(Exception):
    """An environment did not repeat an episode from its seed and actions."""


@dataclass(frozen=True)
class Failure:
    """Why a run failed: a reason in one line, and a traceback if an unexpected exception was raised."""

    reason: str
    traceback: str = ""
    final: bool = False  # resuming from the last checkpoint would fail in the same way

    @classmethod
    def of(cls, error: BaseException) -> "Failure":
        """Return the failure of an exception."""
        whole = "".join(traceback.format_exception(error))
        if isinstance(error, RunError):
            return cls(_one_line(str(error)), whole if error.__cause__ is not None else "", error.final)
        return cls(_one_line(f"{type(error).__name__}: {error}").rstrip(": "), whole)


def _one_line(text: str) -> str:
    return " ".join(text.split())
