import json
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import pytest

from pgexp.storage.git import GitState
from pgexp.storage.provenance import Provenance, collect, hash_code, mask, write


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
    before = hash_code(package)
    path = package.parent / name
    path.write_text("changed")
    changed = hash_code(package)
    path.unlink()
    assert len({before, changed, hash_code(package)}) == 3


def test_a_file_s_name_counts(package: Path) -> None:
    before = hash_code(package)
    (package / "a.py").rename(package / "z.py")
    assert hash_code(package) != before


def test_other_files_do_not_count_nor_where_it_stands(package: Path, tmp_path: Path) -> None:
    before = hash_code(package)
    (package.parent / "README.md").write_text("changed")
    (package / "notes.txt").write_text("new")
    (package.parent / "hydra_plugins/other.py").write_text("new")
    moved = package.parent.rename(tmp_path.with_name("moved"))
    assert hash_code(moved / "pack") == before


def test_a_module_of_the_user_counts_by_its_content(package: Path) -> None:
    module = package.parent / "mine.py"
    module.write_text("one")
    before = hash_code(package, [module])
    assert before != hash_code(package)
    moved = module.rename(package.parent / "sub.py").rename(package.parent.parent / "mine.py")
    assert hash_code(package, [moved]) == before
    moved.write_text("two")
    assert hash_code(package, [moved]) != before


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
    assert mask(argument) == masked


def test_what_a_run_ran_on_is_collected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/some/where/pgexp", "-m", "seed=1,2", "token=abc"])
    monkeypatch.setenv("MKL_CBWR", "AVX2")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = datetime.now(UTC).replace(microsecond=0)
    provenance = collect(tmp_path)
    assert provenance.command == "pgexp -m seed=1,2 'token=***'"
    assert before <= datetime.fromisoformat(provenance.started) <= datetime.now(UTC)
    assert f"numpy=={metadata.version('numpy')}" in provenance.packages
    assert list(provenance.packages) == sorted(provenance.packages, key=str.lower)
    assert provenance.machine["MKL_CBWR"] == "AVX2"
    assert "OMP_NUM_THREADS" not in provenance.machine
    assert provenance.machine["python"] == ".".join(map(str, sys.version_info[:3]))
    assert int(provenance.machine["memory"] or 0) > 2**20


@pytest.mark.parametrize("diff", ["", "a diff\n"])
def test_a_provenance_is_written_as_files_to_read(tmp_path: Path, diff: str) -> None:
    git = GitState("/r", "c0ffee", bool(diff), diff, {"new": None})
    machine: dict[str, str | int | None] = {"cpu": "some", "cores": 2}
    write(Provenance(git, "c0de", ("a==1", "b==2"), machine, "pgexp", "2026-01-02T03:04:05+00:00"), tmp_path)
    folder = tmp_path / "provenance"
    assert json.loads((folder / "git.json").read_text()) == {
        "repository": "/r",
        "commit": "c0ffee",
        "dirty": bool(diff),
        "untracked": {"new": None},
        "code": "c0de",
    }
    assert json.loads((folder / "machine.json").read_text()) == {
        "cpu": "some",
        "cores": 2,
        "command": "pgexp",
        "started": "2026-01-02T03:04:05+00:00",
    }
    assert (folder / "packages.txt").read_text() == "a==1\nb==2\n"
    diffs = [path.read_text() for path in folder.glob("git.diff")]
    assert diffs == ([diff] if diff else [])
