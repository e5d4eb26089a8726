"""Differences of provenances, and which of them may change a number."""

from dataclasses import replace
from typing import Any

import pytest

from pgexp.runs.git import GitState
from pgexp.runs.provenance import Provenance
from pgexp.runs.provenance_diff import changed_packages, diff_provenance

MACHINE: dict[str, Any] = {
    "platform": "Linux-6",
    "python": "3.11.7",
    "cpu": "Some CPU",
    "instructions": ["avx2", "avx512f"],
    "cores": 2,
    "memory": 1000,
    "settings": {"MKL_CBWR": "AVX2"},
    "threads": 1,
    "numpy": ["openblas 1", "SIMD X86_V2"],
}
STATE = GitState(
    "/r", "c0ffee00c0ffee00", dirty=True, diff="--- a\n+++ b\n-x\n+y\n+z\n", untracked={"f": "1", "g": None}
)
THEN = Provenance(
    git=STATE,
    home=STATE,
    code="c0de" * 16,
    modules={"mine.py": "one", "same.py": "same"},
    packages=("NumPy==2.4.6", "torch==2.13.0"),
    lock="numpy==2.4.6\ntorch==2.13.0\n",
    machine=MACHINE,
    command="pgexp",
    started="2026-01-02T03:04:05+00:00",
)
NEW = "ba5e" * 16


def machine(**parts: Any) -> dict[str, Any]:
    return {"machine": MACHINE | parts}


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ({"code": NEW}, ["code: c0dec0dec0de then, ba5eba5eba5e now"]),
        (
            {"code": NEW, "modules": {"mine.py": "two", "same.py": "same"}},
            ["code: c0dec0dec0de then, ba5eba5eba5e now; of your own modules: mine.py"],
        ),
        (
            {"code": NEW, "lock": "numpy==2.5.0\ntorch==2.13.0\n"},
            ["code: c0dec0dec0de then, ba5eba5eba5e now", "lock file: 2 lines then, 2 lines now, 2 lines differ"],
        ),
        (
            {"code": NEW, "lock": None},
            ["code: c0dec0dec0de then, ba5eba5eba5e now", "lock file: 2 lines then, none now, 2 lines differ"],
        ),
        ({"packages": ("numpy==2.5.0", "torch==2.13.0")}, ["package numpy: 2.4.6 then, 2.5.0 now"]),
        ({"packages": ("numpy==2.4.6",)}, ["package torch: 2.13.0 then, none now"]),
        (machine(python="3.12.1"), ["python: 3.11.7 then, 3.12.1 now"]),
        (machine(cpu="Another"), ["cpu: Some CPU then, Another now"]),
        (machine(instructions=["avx2"]), ["instructions: avx512f then, nothing now"]),
        (machine(instructions=["avx2", "avx512f", "amx"]), ["instructions: nothing then, amx now"]),
        (machine(threads=2), ["threads: 1 then, 2 now"]),
        (machine(settings={"MKL_CBWR": "AVX512"}), ["MKL_CBWR: AVX2 then, AVX512 now"]),
        (
            machine(settings={"MKL_CBWR": "AVX2", "OMP_NUM_THREADS": "4"}),
            ["OMP_NUM_THREADS: unset then, 4 now"],
        ),
        (machine(numpy=["openblas 2", "SIMD X86_V2"]), ["numpy: openblas 1 then, openblas 2 now"]),
    ],
)
def test_deciding_differences(now: dict[str, Any], expected: list[str]) -> None:
    found = diff_provenance(THEN, replace(THEN, **now))
    assert found.deciding == tuple(expected)
    assert found.others == ()
    assert found.code == ("code" in now)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (replace(STATE, commit="ba5eba5eba5eba5e"), "commit: c0ffee00c0ff then, ba5eba5eba5e now"),
        (replace(STATE, commit=None), "commit: c0ffee00c0ff then, none now"),
        (replace(STATE, diff=""), "uncommitted changes: 3 lines then, none now"),
        (replace(STATE, untracked={"g": None, "h": "2"}), "untracked files: 2 of 3 differ"),
        (replace(STATE, untracked={"f": "1", "g": "3"}), "untracked files: 1 of 2 differ"),
    ],
)
def test_git_differences_do_not_decide(state: GitState, expected: str) -> None:
    found = diff_provenance(THEN, replace(THEN, git=state, home=state))
    assert (found.deciding, found.others, found.code) == ((), (expected,), False)


def test_two_repositories_are_distinguished() -> None:
    found = diff_provenance(THEN, replace(THEN, home=replace(STATE, diff="")))
    assert found.others == ("pgexp's uncommitted changes: 3 lines then, none now",)


@pytest.mark.parametrize(
    "now",
    [
        {"packages": (*THEN.packages, "another==1")},
        machine(platform="Linux-7", cores=64, memory=1),
        {"command": "pgexp seed=1", "started": "2027-01-02T03:04:05+00:00"},
        {},
    ],
    ids=["another package", "a larger machine", "another command", "nothing"],
)
def test_irrelevant_differences_are_not_listed(now: dict[str, Any]) -> None:
    found = diff_provenance(THEN, replace(THEN, **now))
    assert (found.deciding, found.others, found.code) == ((), (), False)


def test_package_names_are_compared_without_case() -> None:
    assert changed_packages(["A==1", "b==1", "c==1"], ["a==1", "B==2"]) == {"b": ("1", "2"), "c": ("1", None)}
