import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import pytest

from pgexp.storage import provenance
from pgexp.storage.files import SharedFiles
from pgexp.storage.git import GitState
from pgexp.storage.provenance import Provenance, collect, hash_code, is_today_s_code, read, write
from pgexp.storage.record import RunRecord
from pgexp.storage.secrets import mask_text

ROOT = Path(__file__).parents[2]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package as a checkout has it, with a plugin and a lock file beside it."""
    for name in ("pack/a.py", "pack/sub/b.py", "hydra_plugins/pgexp_c.py", "requirements.lock", "README.md"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "pack"


@pytest.mark.parametrize("name", ["pack/a.py", "pack/sub/b.py", "hydra_plugins/pgexp_c.py", "requirements.lock"])
def test_every_file_of_the_code_counts(package: Path, name: str) -> None:
    before = hash_code(package, {})
    path = package.parent / name
    path.write_text("changed")
    changed = hash_code(package, {})
    path.unlink()
    assert len({before, changed, hash_code(package, {})}) == 3


def test_a_file_s_name_counts(package: Path) -> None:
    before = hash_code(package, {})
    (package / "a.py").rename(package / "z.py")
    assert hash_code(package, {}) != before


def test_other_files_do_not_count_nor_where_it_stands(package: Path, tmp_path: Path) -> None:
    before = hash_code(package, {})
    (package.parent / "README.md").write_text("changed")
    (package / "notes.txt").write_text("new")
    (package.parent / "hydra_plugins/other.py").write_text("new")
    moved = package.parent.rename(tmp_path.with_name("moved"))
    assert hash_code(moved / "pack", {}) == before


def test_a_module_of_the_user_counts_by_its_place_and_content(package: Path) -> None:
    module = package.parent / "mine.py"
    module.write_text("one")
    before = hash_code(package, {"mine.py": module})
    assert before != hash_code(package, {})
    assert before != hash_code(package, {"nets/mine.py": module})
    moved = module.rename(package.parent.parent / "elsewhere.py")
    assert hash_code(package, {"mine.py": moved}) == before
    moved.write_text("two")
    assert hash_code(package, {"mine.py": moved}) != before


@pytest.mark.parametrize(
    ("argument", "masked"),
    [
        ("api_key=abc", "api_key=***"),
        ("+env.WANDB_API_KEY=abc", "+env.WANDB_API_KEY=***"),
        ("--token=abc", "--token=***"),
        ("tracking.password=a b", "tracking.password=***"),
        ("x.client_secret=a=b", "x.client_secret=***"),
        ("+x={secret: abc}", "+x={secret:***"),
        ("tracking.uri=postgresql://me:p@ss@host/db", "tracking.uri=postgresql://me:***@host/db"),
        ("tracking.uri=http://host:5000", "tracking.uri=http://host:5000"),
        ("monkey=3", "monkey=3"),
        ("seed=range(5)", "seed=range(5)"),
    ],
)
def test_secrets_are_masked(argument: str, masked: str) -> None:
    assert mask_text(argument) == masked


def test_what_a_run_ran_on_is_collected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/some/where/pgexp", "-m", "seed=1,2", "token=abc"])
    module = tmp_path / "mine.py"
    module.write_bytes(b"# caf\xe9\n")
    before = datetime.now(UTC).replace(microsecond=0)
    found = collect(tmp_path, {"mine.py": module})
    assert found.command == "pgexp -m seed=1,2 'token=***'"
    assert before <= datetime.fromisoformat(found.started) <= datetime.now(UTC)
    assert f"numpy=={metadata.version('numpy')}" in found.packages
    assert list(found.packages) == sorted(found.packages, key=str.lower)
    assert found.modules == {"mine.py": "# caf\udce9\n"}
    assert found.lock == (ROOT / "requirements.lock").read_text()
    assert found.machine["python"] == ".".join(map(str, sys.version_info[:3]))


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """pgexp in a repository of its own, with one commit."""
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):  # set where a git hook runs the tests
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "checkout"
    (folder / "pgexp").mkdir(parents=True)
    (folder / "pgexp" / "__init__.py").touch()
    committed(folder)
    monkeypatch.setattr(provenance, "_PACKAGE", folder / "pgexp")
    return folder


def committed(folder: Path) -> str:
    for arguments in ("init -q", "add .", "-c user.name=a -c user.email=a@b commit -qm Begin --allow-empty"):
        subprocess.run(["git", "-C", folder, *arguments.split()], check=True)
    return subprocess.run(["git", "-C", folder, "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()


def test_called_in_its_own_checkout_pgexp_has_one_repository(checkout: Path) -> None:
    found = collect(checkout, {})
    assert found.git == found.home
    assert found.home.repository == str(checkout)


def test_called_outside_of_any_repository_it_is_pgexp_s(checkout: Path, tmp_path: Path) -> None:
    found = collect(tmp_path, {})
    assert found.git == found.home
    assert found.home.repository == str(checkout)


def test_called_in_a_user_s_repository_both_are_known(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    commit = committed(tmp_path / "mine")
    found = collect(tmp_path / "mine", {})
    assert (found.git.repository, found.git.commit) == (str(tmp_path / "mine"), commit)
    assert found.home.repository == str(checkout)
    write(found, tmp_path / "run")
    assert read(tmp_path / "run") == found


def test_installed_beside_a_user_s_files_pgexp_has_no_repository(checkout: Path) -> None:
    """As in a virtual environment that stands in the user's repository, which does not track it."""
    subprocess.run(["git", "-C", checkout, "rm", "-q", "--cached", "pgexp/__init__.py"], check=True)
    found = collect(checkout, {})
    assert found.git.repository == str(checkout)
    assert found.home == GitState()


MADE = Provenance(
    git=GitState("/r", "c0ffee", dirty=True, diff="a diff\n", untracked={"new": None}),
    home=GitState("/r", "c0ffee", dirty=True, diff="a diff\n", untracked={"new": None}),
    code="c0de",
    modules={"nets/wide.py": "x = 1\n", "mine.py": "# caf\udce9\n"},
    packages=("a==1", "b==2"),
    lock="a==1\n",
    machine={"cpu": "some", "cores": 2},
    command="pgexp",
    started="2026-01-02T03:04:05+00:00",
)


@pytest.mark.parametrize(
    "made",
    [
        MADE,
        replace(MADE, lock=None, modules={}),
        replace(MADE, home=GitState()),
        replace(MADE, home=GitState("/p", "babe", dirty=False)),
        replace(MADE, git=GitState(), home=GitState()),
    ],
    ids=["whole", "without a lock file", "installed", "two repositories", "without git"],
)
def test_what_is_written_is_read(tmp_path: Path, made: Provenance) -> None:
    write(made, tmp_path)
    assert read(tmp_path) == made


def test_the_runs_of_a_sweep_share_all_of_it_but_their_keys(tmp_path: Path) -> None:
    files = SharedFiles()
    for name in "ab":
        write(
            MADE,
            tmp_path / name,
            RunRecord(".", "record", "name", name, "configuration", "title", 7, {}, {}),
            "sweep",
            files,
        )
    assert [read(tmp_path / name) for name in "ab"] == [MADE, MADE]
    mine, other = ({path.name: path for path in (tmp_path / name / "provenance").rglob("*.*")} for name in "ab")
    assert {name for name in mine if mine[name].stat().st_ino != other[name].stat().st_ino} == {"origin.json"}
    assert json.loads(other["origin.json"].read_text())["key"] == "b"


def test_a_provenance_is_written_as_files_to_read(tmp_path: Path) -> None:
    run = RunRecord(".", "record", "name", "key", "configuration", "title", 7, {}, {})
    write(MADE, tmp_path, run, "sweep-1")
    folder = tmp_path / "provenance"
    assert json.loads((folder / "git.json").read_text()) == {
        "repository": "/r",
        "commit": "c0ffee",
        "dirty": True,
        "untracked": {"new": None},
        "code": "c0de",
        "pgexp": True,
    }
    assert json.loads((folder / "machine.json").read_text()) == {"cpu": "some", "cores": 2}
    assert json.loads((folder / "origin.json").read_text()) == {
        "command": "pgexp",
        "started": "2026-01-02T03:04:05+00:00",
        "lock": True,
        "key": "key",
        "configuration": "configuration",
        "sweep": "sweep-1",
    }
    assert (folder / "packages.txt").read_text() == "a==1\nb==2\n"
    assert (folder / "requirements.lock").read_text() == "a==1\n"
    assert (folder / "git.diff").read_text() == "a diff\n"
    assert (folder / "modules" / "nets" / "wide.py").read_text() == "x = 1\n"
    assert (folder / "modules" / "mine.py").read_bytes() == b"# caf\xe9\n"


@pytest.mark.parametrize("name", ["git.json", "machine.json", "origin.json", "packages.txt"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    write(MADE, tmp_path)
    (tmp_path / "provenance" / name).unlink()
    with pytest.raises(ValueError, match=name.replace(".", r"\.")):
        read(tmp_path)


def test_a_file_that_lacks_something_is_told(tmp_path: Path) -> None:
    write(MADE, tmp_path)
    (tmp_path / "provenance" / "git.json").write_text("{}")
    with pytest.raises(ValueError, match="lacks 'pgexp'"):
        read(tmp_path)


def test_a_module_that_changed_is_another_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "of_today.py").write_text("one")
    recorded = collect(tmp_path, {"of_today.py": tmp_path / "of_today.py"})
    assert is_today_s_code(recorded)
    (tmp_path / "of_today.py").write_text("two")
    assert not is_today_s_code(recorded)
    (tmp_path / "of_today.py").unlink()
    assert not is_today_s_code(recorded)
