"""State of a git repository: its commit, and the changes since then."""

import hashlib
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

_TIMEOUT = 5.0  # seconds per call, so that a repository on a slow disk does not block a run
_EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"  # base of the diff in a repository without a commit
_DIFF = (  # independent of the user's settings
    "diff",
    "--binary",
    "--no-color",
    "--no-ext-diff",
    "--no-textconv",
    "--src-prefix=a/",
    "--dst-prefix=b/",
)
_HASHED_BYTES = 64 << 20  # of all untracked files, so that a data set does not block a run
_BYTES_PER_FILE = 64 << 10  # minimum that a file counts, for the time to open it


@dataclass(frozen=True)
class GitState:
    """State of a repository. All fields are empty outside a repository, or without git."""

    repository: str | None = None
    commit: str | None = None
    dirty: bool | None = None  # whether tracked files differ from the commit, staged or not
    diff: str = ""  # from the commit, for ``git apply``
    untracked: dict[str, str | None] = field(default_factory=dict)  # sha256 by file; None beyond a limit on bytes


def git_state(folder: Path) -> GitState:
    """Return the state of a folder's repository. Fields for which git takes too long stay empty."""
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
    """Return the root of a folder's repository, or None."""
    root = git(folder, "rev-parse", "--show-toplevel")
    return None if root is None else Path(root.removesuffix("\n"))


def is_tracked(path: Path) -> bool:
    """Return whether a file is tracked by its repository."""
    return git(path.parent, "ls-files", "--error-unmatch", path.name) is not None


def git(folder: Path, *arguments: str) -> str | None:
    """Return the output of git, with surrogates for bytes that are not UTF-8, or None if the call fails."""
    command = ["git", "--no-optional-locks", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=_TIMEOUT, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "surrogateescape")


def _hashes(folder: Path, names: list[str]) -> dict[str, str | None]:
    """Return the sha256 of files, up to the limit on bytes."""
    left = _HASHED_BYTES
    hashes: dict[str, str | None] = {}
    for name in sorted(names):
        path = folder / name
        hashes[name] = None
        try:
            cost = max(path.stat().st_size, _BYTES_PER_FILE)
            if cost <= left and path.is_file():
                hashes[name] = hashlib.sha256(path.read_bytes()).hexdigest()
                left -= cost
        except OSError:
            continue
    return hashes
