"""Failures of runs: a reason in one line, and a traceback."""

import traceback
from dataclasses import dataclass
from typing import ClassVar


class RunError(Exception):
    """A reason why a run cannot continue, which its text explains without a traceback."""

    final: ClassVar[bool] = False
    """Whether resuming from the last checkpoint would fail in the same way."""


@dataclass(frozen=True)
class Failure:
    """Why a run failed: in one line, and as a traceback if an unexpected exception was raised."""

    reason: str
    traceback: str = ""
    final: bool = False  # resuming from the last checkpoint would fail in the same way

    @classmethod
    def of(cls, error: BaseException) -> "Failure":
        """Return the failure of an exception."""
        whole = "".join(traceback.format_exception(error))
        if isinstance(error, RunError):
            return cls(_line(str(error)), whole if error.__cause__ is not None else "", error.final)
        return cls(_line(f"{type(error).__name__}: {error}").rstrip(": "), whole)


def _line(text: str) -> str:
    return " ".join(text.split())
