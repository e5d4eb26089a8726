"""A recorded state of a repository is had again, in a worktree of its own, and leaves the repository as it is."""

import subprocess
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from pgexp.schema.errors import ConfigError
from pgexp.storage.git import GitState, git_state
from pgexp.storage.worktree import bring_untracked, worktree


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of two commits: in the first the file says one, in the second two."""
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):  # set where a git hook runs the tests
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "none"))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    repository = tmp_path / "repository"
    repository.mkdir()
    run(repository, "init", "-q")
    return repository


@pytest.fixture
def recorded(repository: Path) -> GitState:
    """The state before the second commit: the first one, with a change and a new file."""
    (repository / "file").write_bytes(b"one\r\n")
    commit(repository)
    (repository / "file").write_bytes(b"caf\xe9\r\n\x00")
    (repository / "new").mkdir()
    (repository / "new" / "é").write_text("three")
    state = git_state(repository)
    (repository / "file").write_bytes(b"two\r\n")
    run(repository, "add", "file")
    commit(repository)
    return state


def run(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit(folder: Path) -> None:
    run(folder, "add", "file")
    run(folder, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "Go on")


def test_the_commit_and_the_changes_are_there_and_go_again(repository: Path, recorded: GitState) -> None:
    before = run(repository, "status", "--porcelain"), run(repository, "rev-parse", "HEAD")
    with worktree(recorded, None, []) as folder:
        assert (folder / "file").read_bytes() == b"caf\xe9\r\n\x00"
        assert run(folder, "rev-parse", "HEAD") == recorded.commit
    assert not folder.exists()
    assert run(repository, "worktree", "list").count("\n") == 0
    assert (run(repository, "status", "--porcelain"), run(repository, "rev-parse", "HEAD")) == before


def test_a_worktree_in_a_folder_of_the_user_s_stays(recorded: GitState, tmp_path: Path) -> None:
    with worktree(recorded, tmp_path / "kept", []) as folder:
        assert folder == tmp_path / "kept"
    assert (folder / "file").read_bytes() == b"caf\xe9\r\n\x00"


def test_what_stands_there_is_kept(recorded: GitState, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "thesis").write_text("mine")
    with pytest.raises(ConfigError, match="is there already"), worktree(recorded, tmp_path / "kept", []):
        pass
    assert (tmp_path / "kept" / "thesis").read_text() == "mine"


def test_a_clone_elsewhere_will_do(repository: Path, recorded: GitState, tmp_path: Path) -> None:
    moved = repository.rename(tmp_path / "moved")
    (moved / "below").mkdir()
    with worktree(recorded, None, [tmp_path, moved / "below"]) as folder:
        assert (folder / "file").read_bytes() == b"caf\xe9\r\n\x00"


def test_a_commit_that_no_repository_has_is_told(repository: Path, recorded: GitState) -> None:
    lost = replace(recorded, commit="c0ffee" * 6 + "c0ff")
    with (
        pytest.raises(ConfigError, match=f"commit {lost.commit} is not in {repository}; fetch"),
        worktree(lost, None, []),
    ):
        pass


def test_without_a_commit_there_is_nothing_to_go_back_to() -> None:
    with pytest.raises(ConfigError, match="names no commit"), worktree(GitState(), None, []):
        pass


def test_a_diff_that_does_not_apply_is_told_and_leaves_no_worktree(repository: Path, recorded: GitState) -> None:
    spoilt = replace(recorded, diff="--- a/file\n+++ b/file\n@@ -1 +1 @@\n-another\n+text\n")
    with pytest.raises(ConfigError, match="git apply failed"), worktree(spoilt, None, []):
        pass
    assert run(repository, "worktree", "list").count("\n") == 0


def test_untracked_files_come_along_if_they_are_as_they_were(repository: Path, recorded: GitState) -> None:
    for name in ("changed", "gone", "large"):
        (repository / name).write_text("x")
    state = replace(recorded, untracked={**git_state(repository).untracked, "large": None, "../outside": "1"})
    (repository / "changed").write_text("y")
    (repository / "gone").unlink()
    with worktree(recorded, None, []) as folder:
        assert bring_untracked(state, folder) == ["changed", "gone", "large", "../outside"]
        assert (folder / "new" / "é").read_text() == "three"
        assert not any((folder / name).exists() for name in ("changed", "gone", "large"))


def test_a_file_from_outside_of_the_repository_is_not_taken(recorded: GitState, tmp_path: Path) -> None:
    secret = tmp_path / "outside"
    secret.write_text("x")
    hashed = sha256(b"x").hexdigest()
    state = replace(recorded, untracked={"../outside": hashed, str(secret): hashed})
    with worktree(recorded, None, []) as folder:
        assert bring_untracked(state, folder) == ["../outside", str(secret)]
