"""Code as it was recorded: a commit in a git worktree of its own, with the changes that were not committed."""

import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from pgexp.schema.errors import ConfigError, Problem
from pgexp.storage.git import GitState, git, repository_of


@contextmanager
def worktree(state: GitState, folder: Path | None, beside: Sequence[Path]) -> Iterator[Path]:
    """Yield a worktree of a recorded state, in a folder that stays, or else in one that goes when the block ends.

    Its repository is the recorded one, or one that a folder of `beside` is in. Raises ConfigError where the commit is
    in none of them, or something stands in the folder.
    """
    repository = _repository(state, beside)
    assert state.commit is not None  # a repository has it
    if folder is not None:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise _problem(f"{folder} is there already; remove it (git worktree remove {folder}), or name another")
        yield _filled(repository, state, folder.absolute())
        return
    with tempfile.TemporaryDirectory(prefix="pgexp-") as passing:
        try:
            yield _filled(repository, state, Path(passing, "code"))
        finally:
            _git(repository, "worktree", "remove", "--force", str(Path(passing, "code")))


def bring_untracked(state: GitState, folder: Path) -> list[str]:
    """Copy the files that git did not track, and that are as they were, into a worktree; return the others' names."""
    missing = []
    for name, recorded in state.untracked.items():
        here, there = Path(state.repository or "", name), folder / name
        if recorded is None or not _is_below(name) or _hash(here) != recorded:
            missing.append(name)
            continue
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_bytes(here.read_bytes())
    return missing


def _repository(state: GitState, beside: Sequence[Path]) -> Path:
    if state.commit is None:
        raise _problem("the run's record names no commit of pgexp's: it was installed as a package, or not committed")
    roots = [Path(state.repository or "."), *filter(None, map(repository_of, beside))]
    for root in roots:
        if git(root, "cat-file", "-e", f"{state.commit}^{{commit}}") is not None:
            return root
    known = ", ".join(dict.fromkeys(map(str, roots)))
    raise _problem(f"commit {state.commit} is not in {known}; fetch it there, or call from a clone that has it")


def _filled(repository: Path, state: GitState, folder: Path) -> Path:
    _git(repository, "worktree", "add", "--detach", str(folder), str(state.commit))
    if state.diff:
        _git(folder, "apply", "--whitespace=nowarn", "-", stdin=state.diff.encode("utf-8", "surrogateescape"))
    return folder


def _git(folder: Path, *arguments: str, stdin: bytes = b"") -> None:
    done = subprocess.run(["git", "-C", str(folder), *arguments], input=stdin, capture_output=True, check=False)
    if done.returncode:
        reason = " ".join(done.stderr.decode(errors="replace").split())
        raise _problem(f"git {arguments[0]} failed: {reason}")


def _is_below(name: str) -> bool:
    return not Path(name).is_absolute() and ".." not in Path(name).parts


def _hash(path: Path) -> str | None:
    try:
        return sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def _problem(text: str) -> ConfigError:
    return ConfigError([Problem("worktree", text)])
