"""Process settings on which bits depend."""

import os
import platform
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from pgexp.schema import determinism
from pgexp.schema.determinism import SETTINGS, nondeterminism_reason, pin


def run_python(code: str, **environment: str) -> str:
    """Return the output of a new interpreter with these settings only."""
    clean = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, env=clean | environment, capture_output=True, text=True, check=True).stdout


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="only Linux lists the processor's features there")
def test_openblas_and_torch_use_avx2() -> None:
    """The settings replace others of the environment. Without AVX2 there is no choice."""
    code = """
import sys
from pgexp.schema.determinism import pin
pin()
assert not {"torch", "numpy", "numba", "mlflow"} & set(sys.modules)
import torch
from pgexp.runs.provenance import machine
print(torch.get_num_threads(), torch.backends.cpu.get_cpu_capability(), *machine()["numpy"], sep="|")
"""
    others = {"OPENBLAS_CORETYPE": "Nehalem", "ATEN_CPU_CAPABILITY": "default", "OMP_NUM_THREADS": "2"}
    threads, capability, *libraries = run_python(code, **others).strip().split("|")
    flags = Path("/proc/cpuinfo").read_text().split()
    if not {"avx2", "fma"} <= set(flags):
        pytest.skip("this processor lacks AVX2 or FMA")
    assert (threads, capability) == ("1", "AVX2")
    assert "OpenBLAS core Haswell" in libraries


def test_numba_loads_with_the_settings() -> None:
    code = """
from pgexp.schema.determinism import pin
pin()
import numba
print(numba.config.DISABLE_INTEL_SVML, numba.config.USING_SVML)
"""
    assert run_python(code, NUMBA_DISABLE_INTEL_SVML="0").split() == ["1", "False"]


class TestPin:
    @pytest.fixture(autouse=True)
    def unset(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in SETTINGS:
            monkeypatch.setenv(name, "")  # restored after the test
            monkeypatch.delenv(name)

    @pytest.fixture
    def nothing_loaded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("numpy", "torch", "numba"):
            monkeypatch.delitem(sys.modules, name, raising=False)

    def test_it_sets_every_setting(self, nothing_loaded: None) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            pin()
        assert {name: os.environ[name] for name in SETTINGS} == SETTINGS

    def test_it_replaces_other_values(self, nothing_loaded: None, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MKL_CBWR", "AVX512")
        monkeypatch.setenv("OMP_NUM_THREADS", "8")
        pin()
        assert (os.environ["MKL_CBWR"], os.environ["OMP_NUM_THREADS"]) == ("COMPATIBLE", "1")

    @pytest.mark.parametrize("library", ["numpy", "torch", "numba"])
    def test_it_warns_if_a_library_is_loaded(
        self, nothing_loaded: None, monkeypatch: pytest.MonkeyPatch, library: str
    ) -> None:
        others = {name: value for name, value in SETTINGS.items() if name != "MKL_CBWR"}
        for name, value in others.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("MKL_CBWR", "AVX2")
        monkeypatch.setitem(sys.modules, library, object())
        with pytest.warns(UserWarning, match=f"^{library} loaded before pgexp could set MKL_CBWR. Runs are correct"):
            pin()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            pin()

    def test_it_does_not_warn_if_all_were_set_before(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "torch", object())
        for name, value in SETTINGS.items():
            monkeypatch.setenv(name, value)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            pin()


class TestUnclaimed:
    @pytest.fixture(autouse=True)
    def claimed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A machine with equal bits."""
        monkeypatch.setattr(sys, "platform", "linux")
        monkeypatch.setattr(platform, "machine", lambda: "x86_64")
        monkeypatch.setattr(determinism, "_has_avx2", lambda: True)
        monkeypatch.setattr(np, "show_config", lambda mode: _built_with("scipy-openblas"))

    def test_no_reason_on_a_supported_machine(self) -> None:
        assert nondeterminism_reason() is None

    def test_another_system(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "platform", "darwin")
        monkeypatch.setattr(platform, "machine", lambda: "arm64")
        assert nondeterminism_reason() == "equal bits are promised for Linux on x86-64 only (this is darwin on arm64)"

    def test_another_processor(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(platform, "machine", lambda: "aarch64")
        assert nondeterminism_reason() == "equal bits are promised for Linux on x86-64 only (this is linux on aarch64)"

    def test_a_processor_without_avx2(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(determinism, "_has_avx2", lambda: False)
        assert nondeterminism_reason() == "the processor lacks AVX2 or FMA"

    @pytest.mark.parametrize("name", ["mkl-sdl", "accelerate", "unknown"])
    def test_numpy_on_another_library(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        monkeypatch.setattr(np, "show_config", lambda mode: _built_with(name))
        assert nondeterminism_reason() == f"NumPy computes with {name}, not with OpenBLAS"

    @pytest.mark.parametrize(
        ("flags", "has"),
        [
            ("flags\t\t: fpu avx avx2 fma", True),
            ("flags\t\t: fpu avx avx2", False),
            ("flags\t\t: fpu fma avx", False),
            ("Features\t: asimd", False),
        ],
    )
    def test_the_features_are_read_from_the_first_processor(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str, has: bool
    ) -> None:
        monkeypatch.undo()
        (tmp_path / "cpuinfo").write_text(f"processor\t: 0\n{flags}\n\nprocessor\t: 1\n{flags}\n")
        monkeypatch.setattr(determinism, "_CPU_INFO", tmp_path / "cpuinfo")
        assert determinism._has_avx2() is has

    def test_no_features_without_cpuinfo(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.undo()
        monkeypatch.setattr(determinism, "_CPU_INFO", tmp_path / "absent")
        assert not determinism._has_avx2()


def _built_with(blas: str) -> dict[str, object]:
    return {"Build Dependencies": {"blas": {"name": blas}}}
