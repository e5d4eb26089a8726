"""Differences between the provenance of a recorded run and the current one."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pgexp.runs.git import GitState
from pgexp.runs.provenance import MACHINE_FACTS, Provenance

_HASH_LENGTH = 12  # displayed digits


@dataclass(frozen=True)
class ProvenanceDiff:
    """Sentences, each about one thing that differs between then and now."""

    deciding: tuple[str, ...]  # any of them may change a number
    others: tuple[str, ...]
    code: bool  # whether the code differs


def diff_provenance(then: Provenance, now: Provenance) -> ProvenanceDiff:
    """Return the differences between two provenances."""
    deciding = (*_diff_code(then, now), *_diff_packages(then, now), *_diff_machine(then, now))
    return ProvenanceDiff(deciding, tuple(_diff_git(then, now)), then.code != now.code)


def changed_packages(then: Iterable[str], now: Iterable[str]) -> dict[str, tuple[str, str | None]]:
    """Return the packages whose versions differ: by name, the version then and now (None if it is missing now).

    then, now: packages as name==version.
    """
    before, after = _versions(then), _versions(now)
    return {name: (version, after.get(name)) for name, version in before.items() if after.get(name) != version}


def _versions(packages: Iterable[str]) -> dict[str, str]:
    pairs = (package.partition("==") for package in packages)
    return {name.lower(): version for name, _, version in pairs}


def _diff_code(then: Provenance, now: Provenance) -> Iterator[str]:
    if then.code == now.code:
        return
    modules = {**then.modules, **now.modules}
    changed = sorted(place for place in modules if then.modules.get(place) != now.modules.get(place))
    own = f"; of your own modules: {', '.join(changed)}" if changed else ""
    yield f"code: {_then_now(then.code[:_HASH_LENGTH], now.code[:_HASH_LENGTH])}{own}"
    if then.lock != now.lock:
        lines = [(each.lock or "").splitlines() for each in (then, now)]
        sizes = ["none" if each.lock is None else f"{len(each.lock.splitlines())} lines" for each in (then, now)]
        yield f"lock file: {_then_now(*sizes)}, {len(set(lines[0]) ^ set(lines[1]))} lines differ"


def _diff_packages(then: Provenance, now: Provenance) -> Iterator[str]:
    for name, (before, after) in changed_packages(then.packages, now.packages).items():
        yield f"package {name}: {_then_now(before, after or 'none')}"


def _diff_machine(then: Provenance, now: Provenance) -> Iterator[str]:
    for name in sorted({*then.machine, *now.machine} - MACHINE_FACTS):
        before, after = then.machine.get(name), now.machine.get(name)
        if before == after:
            continue
        if isinstance(before, list) and isinstance(after, list):
            yield f"{name}: {_then_now(_only_in(before, after), _only_in(after, before))}"
        elif isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from _diff_values(before, after)
        else:
            yield f"{name}: {_then_now(before, after)}"


def _diff_values(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            yield f"{name}: {_then_now(before.get(name, 'unset'), after.get(name, 'unset'))}"


def _only_in(items: list[Any], others: list[Any]) -> str:
    return ", ".join(str(item) for item in items if item not in others) or "nothing"


def _diff_git(then: Provenance, now: Provenance) -> Iterator[str]:
    for name, before, after in (("", then.git, now.git), ("pgexp's ", then.home, now.home)):
        if name and (then.home, now.home) == (then.git, now.git):
            return
        if before.commit != after.commit:
            commits = [(state.commit or "none")[:_HASH_LENGTH] for state in (before, after)]
            yield f"{name}commit: {_then_now(*commits)}"
        if before.diff != after.diff:
            yield f"{name}uncommitted changes: {_then_now(_changed_lines(before), _changed_lines(after))}"
        if before.untracked != after.untracked:
            files = {**before.untracked, **after.untracked}
            count = sum(before.untracked.get(file, "") != after.untracked.get(file, "") for file in files)
            yield f"{name}untracked files: {count} of {len(files)} differ"


def _changed_lines(state: GitState) -> str:
    changed = [line for line in state.diff.splitlines() if line.startswith(("+", "-"))]
    count = sum(not line.startswith(("+++", "---")) for line in changed)
    return f"{count} lines" if state.diff else "none"


def _then_now(then: object, now: object) -> str:
    return f"{then} then, {now} now"
