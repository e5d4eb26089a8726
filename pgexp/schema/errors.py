"""Users' mistakes as exceptions, and hints at the nearest known names."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Self

from pgexp.schema.renamed import renaming_hint


@dataclass(frozen=True)
class Problem:
    """One mistake: its key, and a text such as ``must be at least 1 (got 0). Set a larger number``."""

    key: str
    text: str

    def __str__(self) -> str:
        """Return the line that is shown to the user."""
        return f"{self.key}: {self.text}"


class UserError(Exception):
    """A user's mistake. `problems` holds every mistake that was found, each with its key.

    All other exceptions are bugs of pgexp, or errors in a user's code.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(tuple(problems))
        self.problems = tuple(problems)

    @classmethod
    def at(cls, key: str, text: str) -> Self:
        """Return the error with a single problem."""
        return cls([Problem(key, text)])

    def __str__(self) -> str:
        """Return one line per problem."""
        return "\n".join(map(str, self.problems))


def unknown_key(key: str, value: object, known: Iterable[str]) -> Problem:
    """Return the problem of an unknown key, with its new name or the nearest known one, and all known names."""
    names = sorted(known)
    hint = renaming_hint(key) or nearest(key, names)
    return Problem(key, f"unknown key (got {value!r}).{hint} Known keys: {', '.join(names) or 'none'}.")


def nearest(key: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the known name nearest to the key's last part, or "" if none is near."""
    close = get_close_matches(key.rpartition(".")[2], list(known), n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else ""
