"""The wheel: its contents, and its use outside the checkout."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
FOLDERS = ("pgexp", "hydra_plugins", "conf", "tests")
FILES = ("pyproject.toml", "README.md")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an unpacked wheel."""
    source, folder = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("installed")
    for name in FOLDERS:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", source]
    subprocess.run(command, capture_output=True, check=True)
    (wheel,) = (source / "dist").iterdir()
    shutil.unpack_archive(wheel, folder, "zip")
    return folder


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_wheel_has_package_configs_and_plugins(installed: Path) -> None:
    kinds = (".py", ".html")  # code, and the report's template
    source = {path.relative_to(ROOT).as_posix() for path in (ROOT / "pgexp").rglob("*") if path.suffix in kinds}
    configs = {f"pgexp/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / "conf").rglob("*.yaml")}
    code = {name for name in files(installed) if not name.startswith("pgexp-0.")}
    assert "pgexp/conf/config.yaml" in code
    assert code == source | configs | {f"hydra_plugins/pgexp_{name}.py" for name in ("grid", "optuna", "queue")}


def test_wheel_has_the_commands(installed: Path) -> None:
    (about,) = installed.glob("*.dist-info")
    assert (about / "entry_points.txt").read_text().split("\n")[:3] == [
        "[console_scripts]",
        "pgexp = pgexp.cli.train:main",
        "pgexp-compare = pgexp.cli.compare:main",
    ]


def test_wheel_composes_from_its_configs(installed: Path, tmp_path: Path) -> None:
    config = installed / "pgexp" / "conf" / "config.yaml"
    config.write_text(config.read_text().replace("\nseed: 0 ", "\nseed: 41 "))
    command = [sys.executable, "-P", "-m", "pgexp.cli.train", "--cfg", "job", "baseline=mean"]
    environment = os.environ | {"PYTHONPATH": str(installed)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    composed = yaml.safe_load(done.stdout)
    assert composed["seed"] == 41
    assert composed["baseline"] == {"_target_": "pgexp.baselines.mean.BatchMean"}
