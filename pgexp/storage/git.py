"""What git knows of a folder: the commit, and how far the files have moved away from it."""

import hashlib
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

_TIMEOUT = 5.0  # seconds a call: a repository on a slow disk must not hold up a run
_EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"  # what a repository without a commit differs from
_DIFF = (  # whatever the user's own settings are
    "diff",
    "--binary",
    "--no-color",
    "--no-ext-diff",
    "--no-textconv",
    "--src-prefix=a/",
    "--dst-prefix=b/",
)
_HASHED_BYTES = 64 << 20  # of untracked files in all: a data set must not hold up a run
_BYTES_A_FILE = 64 << 10  # what opening a file counts as


@dataclass(frozen=True)
class GitState:
    """The state of a repository; all of it is empty where there is no repository, or no git."""

    repository: str | None = None
    commit: str | None = None
    dirty: bool | None = None  # whether tracked files differ from the commit, staged or not
    diff: str = ""  # against the commit; ``git apply`` takes it
    untracked: dict[str, str | None] = field(default_factory=dict)  # the files' sha256; None beyond a bound


def git_state(folder: Path) -> GitState:
    """Return the state of the repository that a folder is in; what git cannot tell in time stays empty."""
    repository = repository_of(folder)
    if repository is None:
        return GitState()
    commit = (git(repository, "rev-parse", "--verify", "HEAD") or "").strip() or None
    diff = git(repository, *_DIFF, commit or _EMPTY_TREE)
    untracked = git(repository, "ls-files", "--others", "--exclude-standard", "-z") or ""
    return GitState(
        repository=str(repository),
        commit=commit,
        dirty=None if diff is None else bool(diff),
        diff=diff or "",
        untracked=_hashes(repository, [name for name in untracked.split("\0") if name]),
    )


def repository_of(folder: Path) -> Path | None:
    """Return the root of the repository that a folder is in, or None."""
    root = git(folder, "rev-parse", "--show-toplevel")
    return None if root is None else Path(root.removesuffix("\n"))


def is_tracked(path: Path) -> bool:
    """Return whether a file is one that a repository keeps, and does not only stand in its folder."""
    return git(path.parent, "ls-files", "--error-unmatch", path.name) is not None


def git(folder: Path, *arguments: str) -> str | None:
    """Return what git prints, byte for byte (surrogates stand for what is no UTF-8), or None if it fails."""
    command = ["git", "--no-optional-locks", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=_TIMEOUT, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "surrogateescape")


def _hashes(folder: Path, names: list[str]) -> dict[str, str | None]:
    """Return the files' sha256, as many as the bound on their bytes allows."""
    left = _HASHED_BYTES
    hashes: dict[str, str | None] = {}
    for name in sorted(names):
        left, hashes[name] = _hash_within(folder / name, left)
    return hashes


def _hash_within(path: Path, left: int) -> tuple[int, str | None]:
    """Return what is left of the bytes that may be read, and the file's hash if it fitted."""
    try:
        cost = max(path.stat().st_size, _BYTES_A_FILE)
        if cost > left or not path.is_file():
            return left, None
        return left - cost, hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return left, None
