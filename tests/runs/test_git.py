import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

from pgexp.runs import git
from pgexp.runs.git import GitState, git_state

# A user's settings, each of which would change the diff.
SETTINGS = """
[user]
    name = A
    email = a@b.c
[color]
    ui = always
[core]
    attributesFile = {folder}/attributes
[diff]
    noprefix = true
    external = false
[diff "empty"]
    textconv = true
"""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one commit of one file."""
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):  # set where a git hook runs the tests
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "settings"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    (tmp_path / "settings").write_text(SETTINGS.format(folder=tmp_path))
    (tmp_path / "attributes").write_text("* diff=empty\n")
    repository = tmp_path / "repository"
    repository.mkdir()
    run(repository, "init", "--quiet")
    (repository / "file").write_bytes(b"one\r\n")
    run(repository, "add", "file")
    run(repository, "commit", "--quiet", "-m", "first")
    return repository


def run(folder: Path, *arguments: str, stdin: bytes = b"") -> str:
    command = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, check=True)
    return done.stdout.decode().strip()


def test_clean_repository(repository: Path) -> None:
    (repository / "below").mkdir()
    commit = run(repository, "rev-parse", "HEAD")
    assert git_state(repository / "below") == GitState(str(repository), commit, dirty=False)


@pytest.mark.parametrize("staged", [False, True])
def test_diff_can_be_applied_to_the_commit(repository: Path, staged: bool) -> None:
    content = b"caf\xe9\r\n\x00"
    (repository / "file").write_bytes(content)
    if staged:
        run(repository, "add", "file")
    state = git_state(repository)
    assert state.dirty
    run(repository, "reset", "--quiet", "--hard")
    run(repository, "apply", "-", stdin=state.diff.encode("utf-8", "surrogateescape"))
    assert (repository / "file").read_bytes() == content


def test_repository_without_a_commit(repository: Path) -> None:
    run(repository, "update-ref", "-d", "HEAD")
    state = git_state(repository)
    assert (state.commit, state.dirty) == (None, True)
    assert "+one" in state.diff


def test_untracked_files_are_hashed(repository: Path) -> None:
    (repository / ".gitignore").write_text("ignored\n")
    (repository / "ignored").write_text("x")
    (repository / "new é").write_text("two")
    (repository / "lost").symlink_to("nowhere")
    state = git_state(repository)
    assert state.dirty is False
    assert state.untracked == {
        ".gitignore": sha256(b"ignored\n").hexdigest(),
        "lost": None,
        "new é": sha256(b"two").hexdigest(),
    }


def test_hashed_bytes_are_limited(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git, "_HASHED_BYTES", 200_000)
    for name, size in (("a", 100_000), ("b", 150_000), ("c", 1), ("d", 1)):
        (repository / name).write_bytes(b"x" * size)
    hashed = {name for name, sha in git_state(repository).untracked.items() if sha is not None}
    assert hashed == {"a", "c"}  # 100,000 and 65,536, the minimum for a small file, are below 200,000


def test_state_without_a_repository(repository: Path) -> None:
    assert git_state(repository.parent) == GitState()


def test_state_without_git(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(repository))
    assert git_state(repository) == GitState()


def test_slow_git_is_ignored(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git, "_TIMEOUT", 0.0)
    assert git_state(repository) == GitState()
