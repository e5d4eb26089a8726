"""Why a run of a pack can't go on."""

import traceback
from dataclasses import dataclass
from typing import ClassVar


class RunError(Exception):
    """Why one run can't go on, told whole by its text, so that nobody needs to see where it was raised."""

    final: ClassVar[bool] = False
    """Whether to go on from the last checkpoint would come to the same."""


@dataclass(frozen=True)
class Failure:
    """Why a run can't go on: in a line, and as a traceback where an exception came from code that may be wrong."""

    reason: str
    traceback: str = ""
    final: bool = False  # to go on from the last checkpoint would come to the same

    @classmethod
    def of(cls, error: BaseException) -> "Failure":
        """Return the failure that an exception stands for."""
        whole = "".join(traceback.format_exception(error))
        if isinstance(error, RunError):
            return cls(_line(str(error)), whole if error.__cause__ is not None else "", error.final)
        return cls(_line(f"{type(error).__name__}: {error}").rstrip(": "), whole)


def _line(text: str) -> str:
    return " ".join(text.split())
