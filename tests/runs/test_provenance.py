"""Provenance of runs: code, machine and cost."""

import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import pytest
import torch

from pgexp.runs import provenance
from pgexp.runs.files import LinkedFiles
from pgexp.runs.git import GitState
from pgexp.runs.manifest import RunEntry
from pgexp.runs.provenance import Provenance, ResourceUsage, collect, hash_code, is_current_code, machine, read, write
from pgexp.runs.secrets import mask_text

ROOT = Path(__file__).parents[2]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package in a checkout, with a plugin and a lock file."""
    for name in ("pack/a.py", "pack/sub/b.py", "hydra_plugins/pgexp_c.py", "requirements.lock", "README.md"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "pack"


@pytest.mark.parametrize("name", ["pack/a.py", "pack/sub/b.py", "hydra_plugins/pgexp_c.py", "requirements.lock"])
def test_code_hash_depends_on_each_file(package: Path, name: str) -> None:
    before = hash_code(package, {})
    path = package.parent / name
    path.write_text("changed")
    changed = hash_code(package, {})
    path.unlink()
    assert len({before, changed, hash_code(package, {})}) == 3


def test_code_hash_depends_on_names(package: Path) -> None:
    before = hash_code(package, {})
    (package / "a.py").rename(package / "z.py")
    assert hash_code(package, {}) != before


def test_code_hash_ignores_other_files_and_location(package: Path, tmp_path: Path) -> None:
    before = hash_code(package, {})
    (package.parent / "README.md").write_text("changed")
    (package / "notes.txt").write_text("new")
    (package.parent / "hydra_plugins/other.py").write_text("new")
    moved = package.parent.rename(tmp_path.with_name("moved"))
    assert hash_code(moved / "pack", {}) == before


def test_code_hash_depends_on_user_modules(package: Path) -> None:
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


def test_provenance_is_collected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    """A repository of pgexp with one commit."""
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):  # set where a git hook runs the tests
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "checkout"
    (folder / "pgexp").mkdir(parents=True)
    (folder / "pgexp" / "__init__.py").touch()
    commit(folder)
    monkeypatch.setattr(provenance, "_PACKAGE", folder / "pgexp")
    return folder


def commit(folder: Path) -> str:
    for arguments in ("init -q", "add .", "-c user.name=a -c user.email=a@b commit -qm Begin --allow-empty"):
        subprocess.run(["git", "-C", folder, *arguments.split()], check=True)
    return subprocess.run(["git", "-C", folder, "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()


def test_called_in_the_checkout_of_pgexp(checkout: Path) -> None:
    found = collect(checkout, {})
    assert found.git == found.home
    assert found.home.repository == str(checkout)


def test_called_outside_of_any_repository(checkout: Path, tmp_path: Path) -> None:
    found = collect(tmp_path, {})
    assert found.git == found.home
    assert found.home.repository == str(checkout)


def test_called_in_another_repository(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    commit_id = commit(tmp_path / "mine")
    found = collect(tmp_path / "mine", {})
    assert (found.git.repository, found.git.commit) == (str(tmp_path / "mine"), commit_id)
    assert found.home.repository == str(checkout)
    write(found, tmp_path / "run")
    assert read(tmp_path / "run") == found


def test_installed_package_has_no_repository(checkout: Path) -> None:
    """As in a virtual environment inside a user's repository, which does not track it."""
    subprocess.run(["git", "-C", checkout, "rm", "-q", "--cached", "pgexp/__init__.py"], check=True)
    found = collect(checkout, {})
    assert found.git.repository == str(checkout)
    assert found.home == GitState()


EXAMPLE = Provenance(
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
    "example",
    [
        EXAMPLE,
        replace(EXAMPLE, lock=None, modules={}),
        replace(EXAMPLE, home=GitState()),
        replace(EXAMPLE, home=GitState("/p", "babe", dirty=False)),
        replace(EXAMPLE, git=GitState(), home=GitState()),
    ],
    ids=["whole", "without a lock file", "installed", "two repositories", "without git"],
)
def test_written_provenance_is_read_unchanged(tmp_path: Path, example: Provenance) -> None:
    write(example, tmp_path)
    assert read(tmp_path) == example


def test_runs_of_a_sweep_share_files(tmp_path: Path) -> None:
    files = LinkedFiles()
    for name in "ab":
        write(
            EXAMPLE,
            tmp_path / name,
            RunEntry(".", "record", "name", name, "configuration", "title", 7, {}, {}),
            "sweep",
            files,
        )
    assert [read(tmp_path / name) for name in "ab"] == [EXAMPLE, EXAMPLE]
    mine, other = ({path.name: path for path in (tmp_path / name / "provenance").rglob("*.*")} for name in "ab")
    assert {name for name in mine if mine[name].stat().st_ino != other[name].stat().st_ino} == {"origin.json"}
    assert json.loads(other["origin.json"].read_text())["key"] == "b"


def test_files_of_a_provenance(tmp_path: Path) -> None:
    run = RunEntry(".", "record", "name", "key", "configuration", "title", 7, {}, {})
    write(EXAMPLE, tmp_path, run, "sweep-1")
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
def test_missing_file_is_named(tmp_path: Path, name: str) -> None:
    write(EXAMPLE, tmp_path)
    (tmp_path / "provenance" / name).unlink()
    with pytest.raises(ValueError, match=name.replace(".", r"\.")):
        read(tmp_path)


def test_incomplete_file_is_reported(tmp_path: Path) -> None:
    write(EXAMPLE, tmp_path)
    (tmp_path / "provenance" / "git.json").write_text("{}")
    with pytest.raises(ValueError, match="'pgexp' is missing"):
        read(tmp_path)


def test_changed_module_is_not_current_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_module.py").write_text("one")
    recorded = collect(tmp_path, {"own_module.py": tmp_path / "own_module.py"})
    assert is_current_code(recorded)
    (tmp_path / "own_module.py").write_text("two")
    assert not is_current_code(recorded)
    (tmp_path / "own_module.py").unlink()
    assert not is_current_code(recorded)


# Build configuration of torch 2.13.
CONFIG = """PyTorch built with:
  - GCC 13.3
  - Intel(R) oneAPI Math Kernel Library Version 2024.2-Product Build 20240605
  - CPU capability usage: AVX2
  - Build settings: BLAS_INFO=mkl, BUILD_TYPE=Release, CXX_FLAGS= -O2 -fPIC, LAPACK_INFO=mkl, USE_MKL=ON,
"""
LINES = [
    "GCC 13.3",
    "Intel(R) oneAPI Math Kernel Library Version 2024.2-Product Build 20240605",
    "CPU capability usage: AVX2",
    "BLAS_INFO=mkl",
    "LAPACK_INFO=mkl",
]


def test_facts_of_this_machine() -> None:
    found = machine()
    assert found["python"] == platform.python_version()
    assert found["threads"] == torch.get_num_threads()
    assert found["cores"] == os.cpu_count()
    assert int(found["memory"]) > 2**20
    assert any("SIMD" in line for line in found["numpy"])


def test_settings_are_those_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MKL_CBWR", "AVX2")
    monkeypatch.setenv("NPY_DISABLE_CPU_FEATURES", "X86_V4")
    monkeypatch.setenv("A_SECRET", "abc")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    settings = machine()["settings"]
    assert settings.items() >= {"MKL_CBWR": "AVX2", "NPY_DISABLE_CPU_FEATURES": "X86_V4"}.items()
    assert settings.keys().isdisjoint({"OMP_NUM_THREADS", "A_SECRET"})


@pytest.mark.parametrize(
    ("content", "cpu", "instructions"),
    [
        ("processor : 0\nmodel name : Some CPU\nflags : fpu sse sse4_1 avx avx2 avx512f fma hypervisor\n", "Some CPU",
         ["avx", "avx2", "avx512f", "fma", "sse4_1"]),
        ("processor : 0\nFeatures : fp asimd crc32 sve\n", platform.processor(), ["asimd", "sve"]),
        (None, platform.processor(), []),
    ],
    ids=["x86", "ARM", "another system"],
)  # fmt: skip
def test_processor_and_instructions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None, cpu: str, instructions: list[str]
) -> None:
    monkeypatch.setattr(provenance, "_CPU_INFO", tmp_path / "cpuinfo")
    if content is not None:
        (tmp_path / "cpuinfo").write_text(content)
    found = machine()
    assert (found["cpu"], found["instructions"]) == (cpu, instructions)


def test_torch_libraries_without_compiler_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.__config__, "show", lambda: CONFIG)
    assert machine()["torch"] == LINES


class Clocks:
    wall = 100.0
    cpu = 50.0


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    clocks = Clocks()
    monkeypatch.setattr(time, "perf_counter", lambda: clocks.wall)
    monkeypatch.setattr(time, "process_time", lambda: clocks.cpu)
    return clocks


def cost(folder: Path) -> dict[str, float]:
    found: dict[str, float] = json.loads((folder / "provenance" / "cost.json").read_text())
    return found


def test_cost_has_wall_and_cpu_time(clocks: Clocks, tmp_path: Path) -> None:
    usage = ResourceUsage()
    clocks.wall, clocks.cpu = 112.25, 53.5
    usage.write(tmp_path)
    assert cost(tmp_path) == {"wall_seconds": 12.25, "cpu_seconds": 3.5, "parts": 1}


def test_resumed_run_costs_the_sum_of_its_parts(clocks: Clocks, tmp_path: Path) -> None:
    for _ in range(2):
        usage = ResourceUsage()
        clocks.wall += 2
        clocks.cpu += 1
        usage.write(tmp_path)
        clocks.wall += 1000  # between the parts
    assert cost(tmp_path) == {"wall_seconds": 4, "cpu_seconds": 2, "parts": 2}


def test_time_starts_at_the_creation(tmp_path: Path) -> None:
    before = time.perf_counter()
    usage = ResourceUsage()
    usage.write(tmp_path)
    assert 0 <= cost(tmp_path)["wall_seconds"] <= time.perf_counter() - before + 0.001
