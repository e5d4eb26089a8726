"""The settings on which bits depend are made before torch loads, or a warning says that bits are not claimed."""

import os
import subprocess
import sys
import warnings

import pytest

from pgexp.schema.determinism import SETTINGS, pin


def test_settings_reach_a_torch_that_loads_after_them() -> None:
    code = """
import sys
from pgexp.schema.determinism import pin
pin()
assert not {"torch", "numpy", "mlflow"} & set(sys.modules)
import torch
print(torch.get_num_threads(), torch.backends.cpu.get_cpu_capability())
"""
    clean = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], env=clean, capture_output=True, text=True, check=True
    )
    threads, capability = run.stdout.split()
    assert threads == "1"
    assert capability != "AVX512"  # AVX2 wherever the processor has it, else the plain routines


class TestPin:
    @pytest.fixture(autouse=True)
    def unset(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in SETTINGS:
            monkeypatch.delenv(name, raising=False)

    def test_sets_every_setting(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delitem(sys.modules, "torch", raising=False)
        pin()
        assert {name: os.environ[name] for name in SETTINGS} == SETTINGS

    def test_keeps_what_the_user_has_set(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delitem(sys.modules, "torch", raising=False)
        monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
        pin()
        assert os.environ["MKL_CBWR"] == "COMPATIBLE"
        assert os.environ["OMP_NUM_THREADS"] == "1"

    def test_warns_once_where_torch_was_loaded_before(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "torch", object())  # that it is there is enough
        with pytest.warns(UserWarning, match="equality bit for bit with other runs is not claimed"):
            pin()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            pin()

    def test_does_not_warn_where_all_was_set_before(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "torch", object())  # that it is there is enough
        for name, value in SETTINGS.items():
            monkeypatch.setenv(name, value)
        pin()
