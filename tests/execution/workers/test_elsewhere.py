"""Orders and settings of workers on other machines."""

import subprocess
import sys
from pathlib import Path

import pytest

from pgexp.execution.orders import Order
from pgexp.execution.plan import Job
from pgexp.execution.workers.elsewhere import enter_elsewhere, placed, settings
from pgexp.execution.workers.ray import RayWorkers
from pgexp.execution.workers.slurm import SlurmWorkers
from pgexp.execution.workers.workers import Workers
from pgexp.schema.determinism import SETTINGS
from pgexp.schema.errors import ConfigError


def test_a_machine_that_does_not_see_the_folder_says_so(orders: tuple[Order, Order]) -> None:
    (orders[0].folder / "record.json").unlink()
    ended = enter_elsewhere(orders[0])
    assert ended.how == "failed"
    assert f"does not see {orders[0].folder}; workers need a folder that all nodes share" in ended.reason
    assert "hydra.sweep.dir=" in ended.reason


def test_an_order_leads_to_the_same_places_from_anywhere(
    orders: tuple[Order, Order], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = orders[0].jobs[0].config
    order = Order("ours", 5, Path("sweep"), (Job(config, Path("sweep/0")),), ("", "lib", "/usr/lib"))
    path = (str(tmp_path), str(tmp_path / "lib"), "/usr/lib")
    assert placed(order) == Order("ours", 5, tmp_path / "sweep", (Job(config, tmp_path / "sweep" / "0"),), path)


def test_a_worker_gets_the_settings_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MKL_CBWR", "AVX512")
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert settings() == SETTINGS


@pytest.mark.parametrize(("module", "workers"), [("ray", RayWorkers()), ("submitit", SlurmWorkers())])
def test_a_missing_extra_is_named(
    module: str, workers: Workers, orders: tuple[Order, Order], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    extra = {"ray": "ray", "submitit": "slurm"}[module]
    with pytest.raises(ConfigError, match=rf"^workers: .*pip install 'pgexp\[{extra}\]'"):
        workers.start(orders[0])


@pytest.mark.parametrize("module", ["entry", "ray", "slurm"])
def test_to_load_workers_loads_nothing_that_takes_long(module: str) -> None:
    """The settings that bits depend on come before NumPy and torch."""
    heavy = "{'numpy', 'torch', 'mlflow', 'gymnasium', 'pandas', 'ray', 'submitit'}"
    code = f"import sys, pgexp.execution.workers.{module}; assert not {heavy} & set(sys.modules), sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)
