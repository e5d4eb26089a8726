"""The one error that a mistake in a config ends in, and the words it is told in."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True)
class Problem:
    """One mistake: the key it stands at, and what is wrong there, what was given and what is allowed."""

    key: str
    text: str

    def __str__(self) -> str:
        """Return the line shown to the user."""
        return f"{self.key}: {self.text}"


class ConfigError(Exception):
    """A config that can't be run; `problems` names every mistake that was found, each with its key."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


def unknown(key: str, given: object, known: Iterable[str]) -> Problem:
    """Return the problem of a key that nothing reads: what was given, the nearest known name, and all of them."""
    names = sorted(known)
    return Problem(
        key, f"unknown key (given {given!r}).{nearest(key, names)} Known here: {', '.join(names) or 'none'}."
    )


def nearest(key: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the known name nearest to the key's last part, or nothing if none is near."""
    close = get_close_matches(key.rpartition(".")[2], list(known), n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else ""
