import os
import platform
from pathlib import Path

import pytest
import torch

from pgexp.storage import machine as module
from pgexp.storage.machine import machine

# What torch 2.13 shows of two builds of it.
SHOWN = """PyTorch built with:
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


def test_the_machine_is_what_it_is() -> None:
    found = machine()
    assert found["python"] == platform.python_version()
    assert found["threads"] == torch.get_num_threads()
    assert found["cores"] == os.cpu_count()
    assert int(found["memory"]) > 2**20
    assert any("SIMD" in line for line in found["numpy"])


def test_settings_are_those_that_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MKL_CBWR", "AVX2")
    monkeypatch.setenv("NPY_DISABLE_CPU_FEATURES", "X86_V4")
    monkeypatch.setenv("A_SECRET", "abc")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    settings = machine()["settings"]
    assert settings.items() >= {"MKL_CBWR": "AVX2", "NPY_DISABLE_CPU_FEATURES": "X86_V4"}.items()
    assert settings.keys().isdisjoint({"OMP_NUM_THREADS", "A_SECRET"})


@pytest.mark.parametrize(
    ("told", "cpu", "instructions"),
    [
        ("processor : 0\nmodel name : Some CPU\nflags : fpu sse sse4_1 avx avx2 avx512f fma hypervisor\n", "Some CPU",
         ["avx", "avx2", "avx512f", "fma", "sse4_1"]),
        ("processor : 0\nFeatures : fp asimd crc32 sve\n", platform.processor(), ["asimd", "sve"]),
        (None, platform.processor(), []),
    ],
    ids=["x86", "ARM", "another system"],
)  # fmt: skip
def test_the_processor_s_model_and_the_instructions_that_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str | None, cpu: str, instructions: list[str]
) -> None:
    monkeypatch.setattr(module, "_CPU_INFO", tmp_path / "cpuinfo")
    if told is not None:
        (tmp_path / "cpuinfo").write_text(told)
    found = machine()
    assert (found["cpu"], found["instructions"]) == (cpu, instructions)


def test_torch_s_libraries_are_told_without_its_compiler_s_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.__config__, "show", lambda: SHOWN)
    assert machine()["torch"] == LINES
