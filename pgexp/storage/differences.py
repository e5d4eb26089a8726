"""What differs between the provenance of a run and that of today: what may decide a number, and what does not."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pgexp.storage.git import GitState
from pgexp.storage.machine import UNDECIDING
from pgexp.storage.provenance import Provenance

_SHOWN = 12  # letters of a hash


@dataclass(frozen=True)
class Differences:
    """Sentences, each of one thing as it was then and as it is now."""

    deciding: tuple[str, ...]  # of these any may change a number
    others: tuple[str, ...]
    code: bool  # whether the code is among what differs


def differences(then: Provenance, now: Provenance) -> Differences:
    """Return what differs between two provenances."""
    deciding = (*_code(then, now), *_packages(then, now), *_machine(then, now))
    return Differences(deciding, tuple(_git(then, now)), then.code != now.code)


def changed_packages(then: Iterable[str], now: Iterable[str]) -> dict[str, tuple[str, str | None]]:
    """Return the packages, name==version, that were installed then and not now in that version: both, by name."""
    before, after = _versions(then), _versions(now)
    return {name: (version, after.get(name)) for name, version in before.items() if after.get(name) != version}


def _code(then: Provenance, now: Provenance) -> Iterator[str]:
    if then.code == now.code:
        return
    modules = {**then.modules, **now.modules}
    changed = [place for place in modules if then.modules.get(place) != now.modules.get(place)]
    named = f"; of your own modules {', '.join(sorted(changed))}" if changed else ""
    yield f"code: {_changed(then.code[:_SHOWN], now.code[:_SHOWN])}{named}"
    if then.lock != now.lock:
        lines = [set((each.lock or "").splitlines()) for each in (then, now)]
        yield f"lock file: {_changed(_lock(then), _lock(now))}, {len(lines[0] ^ lines[1])} lines differ"


def _lock(each: Provenance) -> str:
    return "none" if each.lock is None else f"{len(each.lock.splitlines())} lines"


def _packages(then: Provenance, now: Provenance) -> Iterator[str]:
    for name, (before, after) in changed_packages(then.packages, now.packages).items():
        yield f"package {name}: {_changed(before, after or 'none')}"


def _versions(packages: Iterable[str]) -> dict[str, str]:
    pairs = (package.partition("==") for package in packages)
    return {name.lower(): version for name, _, version in pairs}


def _machine(then: Provenance, now: Provenance) -> Iterator[str]:
    for name in sorted({*then.machine, *now.machine} - UNDECIDING):
        before, after = then.machine.get(name), now.machine.get(name)
        if before == after:
            continue
        if isinstance(before, list) and isinstance(after, list):
            yield f"{name}: {_changed(_only(before, after), _only(after, before))}"
        elif isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from _values(before, after)
        else:
            yield f"{name}: {_changed(before, after)}"


def _values(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            yield f"{name}: {_changed(before.get(name, 'unset'), after.get(name, 'unset'))}"


def _only(here: list[Any], there: list[Any]) -> str:
    return ", ".join(str(item) for item in here if item not in there) or "none of it"


def _git(then: Provenance, now: Provenance) -> Iterator[str]:
    for name, before, after in (("", then.git, now.git), ("pgexp's ", then.home, now.home)):
        if name and (then.home, now.home) == (then.git, now.git):
            return
        if before.commit != after.commit:
            yield f"{name}commit: {_changed(_commit(before), _commit(after))}"
        if before.diff != after.diff:
            yield f"{name}uncommitted changes: {_changed(_lines(before), _lines(after))}"
        if before.untracked != after.untracked:
            files = {**before.untracked, **after.untracked}
            count = sum(before.untracked.get(file, "") != after.untracked.get(file, "") for file in files)
            yield f"{name}untracked files: {count} of {len(files)} differ"


def _commit(state: GitState) -> str:
    return state.commit[:_SHOWN] if state.commit else "none"


def _lines(state: GitState) -> str:
    changed = [line for line in state.diff.splitlines() if line.startswith(("+", "-"))]
    count = sum(not line.startswith(("+++", "---")) for line in changed)
    return f"{count} lines" if state.diff else "none"


def _changed(then: object, now: object) -> str:
    return f"{then} then, {now} now"
