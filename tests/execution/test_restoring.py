"""The code of a recording is run again: in a repository with a tiny package, which moved on since."""

import subprocess
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pgexp.execution.restoring import run_in_recorded_code, run_module
from pgexp.schema.errors import ConfigError
from pgexp.storage.git import GitState, git_state
from pgexp.storage.provenance import Provenance, hash_code, installed_packages, write

# What the recorded code does: it says what it is, which modules it finds, and ends with a code of its own.
COMMAND = """import sys
from pathlib import Path
from pgexp import NAME
sys.path.insert(0, str(Path.cwd()))  # as pgexp's commands do
from mine import WORD
from importlib import metadata
tiny = [each.version for each in metadata.distributions() if each.metadata["Name"] == "tiny"]
Path(sys.argv[1], "said").write_text(f"{NAME} {WORD} {tiny} {sys.argv[2:]}")
sys.exit(7)
"""
MODULE = "pgexp.cli.reproduce"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose commit has the package say "committed", and whose files have it say "changed"."""
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):  # set where a git hook runs the tests
        monkeypatch.delenv(name, raising=False)
    repository = tmp_path / "repository"
    files = {"__init__.py": 'NAME = "committed"\n', "cli/__init__.py": "", "cli/reproduce.py": COMMAND}
    for name, text in files.items():
        path = repository / "pgexp" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for line in ("init -q", "add .", "-c user.name=a -c user.email=a@b commit -qm Begin"):
        subprocess.run(["git", "-C", repository, *line.split()], check=True)
    (repository / "pgexp" / "__init__.py").write_text('NAME = "changed"\n')
    return repository


Recorded = Callable[..., tuple[Provenance, Path]]


@pytest.fixture
def recorded(repository: Path, tmp_path: Path) -> Recorded:
    """Records a run of the repository's files, after which they move on."""

    def made(packages: tuple[str, ...] = installed_packages(), lock: str | None = None) -> tuple[Provenance, Path]:
        run, mine = tmp_path / "run", tmp_path / "mine.py"
        mine.write_text('WORD = "recorded"\n')
        state, code = git_state(repository), hash_code(repository / "pgexp", {"mine.py": mine})
        modules = {"mine.py": mine.read_text()}
        origin = Provenance(state, state, code, modules, packages, lock, {}, "pgexp", "2026-01-02T03:04:05+00:00")
        write(origin, run)
        (repository / "pgexp" / "__init__.py").write_text('NAME = "moved on"\n')
        mine.write_text('WORD = "moved on"\n')
        return origin, run

    return made


def rerun(origin: Provenance, run: Path, folder: Path | None = None) -> tuple[int, str, list[str]]:
    """Return the command's exit code, what it said, and what the user was told."""
    told: list[str] = []
    code = run_in_recorded_code(origin, run, folder, [MODULE, str(run), "--all"], told.append)
    return code, (run / "said").read_text(), told


def test_the_recorded_code_runs_with_the_recorded_modules(
    recorded: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where the module stands that moved on
    code, said, told = rerun(*recorded())
    assert (code, said) == (7, "changed recorded [] ['--all']")
    assert " and the changes that were not committed" in told[0]
    assert told[1:] == [
        "code         the recorded one, by its hash",
        "environment  this one: its packages are the recorded ones",
    ]


def test_another_pgexp_in_the_working_directory_is_not_taken(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pgexp").mkdir()
    (tmp_path / "pgexp" / "__init__.py").write_text("raise SystemExit(3)")
    (tmp_path / "mine.py").write_text('WORD = "here"\n')
    monkeypatch.chdir(tmp_path)
    assert run_module([MODULE, str(tmp_path)], [repository]) == 7
    assert (tmp_path / "said").read_text() == "changed here [] []"


def test_the_worktree_stays_where_the_user_says(recorded: Recorded, tmp_path: Path) -> None:
    origin, run = recorded()
    rerun(origin, run, tmp_path / "kept")
    assert (tmp_path / "kept" / "pgexp" / "__init__.py").read_text() == 'NAME = "changed"\n'


def test_code_that_is_not_the_recorded_one_is_told(recorded: Recorded, repository: Path) -> None:
    (repository / "pgexp" / "new.py").write_text("x")
    (repository / "pgexp" / "same.py").write_text("x")
    origin, run = recorded()
    (repository / "pgexp" / "new.py").write_text("y")
    _, _, told = rerun(origin, run)
    assert told[1:3] == [
        "untracked    changed or gone since, and left out: pgexp/new.py",
        "code         NOT the recorded one, by its hash",
    ]


def test_untracked_code_that_is_as_it_was_comes_along(recorded: Recorded, repository: Path) -> None:
    (repository / "pgexp" / "new.py").write_text("x")
    _, _, told = rerun(*recorded())
    assert told[1] == "code         the recorded one, by its hash"


def test_code_without_the_command_is_told(recorded: Recorded, repository: Path) -> None:
    (repository / "pgexp" / "cli" / "reproduce.py").unlink()
    origin, run = recorded()
    with pytest.raises(ConfigError, match=r"has no pgexp\.cli\.reproduce yet"):
        rerun(origin, run)


def test_an_installed_pgexp_has_no_commit_to_go_back_to(recorded: Recorded) -> None:
    origin, run = recorded()
    with pytest.raises(ConfigError, match="names no commit of pgexp's"):
        rerun(replace(origin, home=GitState()), run)


def test_packages_beyond_the_lock_file_do_not_matter(recorded: Recorded) -> None:
    packages = (*installed_packages(), "gone==1")
    _, _, told = rerun(*recorded(packages, lock="numpy==1\n"))
    assert told[2] == "environment  this one: its packages are the recorded ones"


def test_without_a_lock_file_what_differs_is_told(recorded: Recorded) -> None:
    _, said, told = rerun(*recorded((*installed_packages(), "gone==1")))
    assert told[2] == "environment  this one, since no lock file was recorded; it differs: gone 1 then, none now"
    assert said.startswith("changed recorded")


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An index of packages that holds `tiny`, version 3, alone."""
    with zipfile.ZipFile(tmp_path / "tiny-3-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny-3.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 3\n")
        wheel.writestr("tiny-3.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("tiny-3.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    return tmp_path


@pytest.mark.slow
def test_the_recorded_environment_is_made_of_its_lock_file(recorded: Recorded, wheels: Path) -> None:
    code, said, told = rerun(*recorded((*installed_packages(), "tiny==3"), lock="tiny==3\n"))
    assert (code, said) == (7, "changed recorded ['3'] ['--all']")
    assert told[2].startswith(
        "environment  made of the recorded lock file, which takes minutes; this one differs: tiny 3"
    )


@pytest.mark.slow
def test_an_environment_that_can_t_be_made_is_told(recorded: Recorded, wheels: Path) -> None:
    origin, run = recorded((*installed_packages(), "tiny==4"), lock="tiny==4\n")
    with pytest.raises(ConfigError, match=r"the recorded environment can't be made: ERROR: .*tiny==4"):
        rerun(origin, run)
