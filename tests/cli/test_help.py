"""Help, printed config, defaults and completion, without heavy imports."""

import subprocess
import sys
from pathlib import Path

import yaml

from tests.cli.console import HEAVY, Server, shell
from tests.conftest import CONF

GROUPS = {folder.name: {path.stem for path in folder.iterdir()} for folder in CONF.iterdir() if folder.is_dir()}


def output_of(light: Server, folder: Path, *arguments: str, **environment: str) -> str:
    """Return the output of an informational command. It must load nothing heavy and write nothing."""
    before = [*folder.rglob("*")]
    answer = light.run(folder, *arguments, environment=environment)
    assert (answer.code, answer.err, answer.loaded) == (0, "", [])
    assert [*folder.rglob("*")] == before
    return answer.out


def completed(light: Server, folder: Path, line: str) -> list[str]:
    """Return the completions of a line in bash."""
    return output_of(light, folder, "-sc", "query=bash", COMP_LINE=line, COMP_POINT=str(len(line))).split()


def test_start_loads_nothing_heavy() -> None:
    imports = "pgexp.cli.train, pgexp.cli.overrides, pgexp.cli.hydra_errors"
    script = f"import sys, {imports}; print(*{set(HEAVY)} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_help_lists_groups_options_keys_and_examples(tmp_path: Path) -> None:
    answer = shell(tmp_path, "pgexp", "--help")
    assert (answer.code, answer.err) == (0, "")
    for group, options in GROUPS.items():
        assert f"\n{group}: {', '.join(sorted(options))}\n" in answer.out
    assert "\n  pgexp -m baseline=none,mean seed='range(5)' " in answer.out
    assert "\n  pgexp-compare " in answer.out
    assert "\n  pgexp --cfg job " in answer.out
    assert 'eval "$(pgexp -sc install=bash)"' in answer.out
    assert "\n    widths:\n    - 32\n" in answer.out
    assert "\nseed: 0\n" in answer.out


def test_help_lists_user_options(light: Server, own: Path) -> None:
    assert f"\nbaseline: {', '.join(sorted({*GROUPS['baseline'], 'mine'}))}\n" in output_of(
        light, own, "-cd", "myconf", "--help"
    )


def test_cfg_prints_the_composed_config(light: Server, tmp_path: Path) -> None:
    config = yaml.safe_load(output_of(light, tmp_path, "--cfg", "job", "baseline=mean", "optimizer.lr=0.25", "seed=7"))
    sections = {"seed", "dtype", "diagnostics", "budget", "checkpoint", "registry", "sweep"}
    assert set(config) == sections | set(GROUPS) - {"experiment"}
    assert (config["optimizer"]["lr"], config["seed"]) == (0.25, 7)
    assert config["baseline"] == {"_target_": "pgexp.baselines.mean.BatchMean"}


def test_info_lists_the_defaults(light: Server, tmp_path: Path) -> None:
    lines = output_of(light, tmp_path, "--info", "defaults", "baseline=mean").splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:3]] for line in lines]
    assert ["baseline/mean", "baseline"] in rows
    assert ["hydra/launcher/queue", "hydra.launcher"] in rows


def test_completion_of_groups_and_keys(light: Server, tmp_path: Path) -> None:
    offered = completed(light, tmp_path, "pgexp ")
    assert set(offered) >= {f"{group}=" for group in GROUPS} | {"seed=", "dtype=", "budget."}


def test_completion_of_options(light: Server, tmp_path: Path) -> None:
    options = sorted(GROUPS["baseline"])
    assert completed(light, tmp_path, "pgexp seed=1 baseline=") == [f"baseline={option}" for option in options]


def test_completion_of_nested_keys(light: Server, tmp_path: Path) -> None:
    assert set(completed(light, tmp_path, "pgexp budget.")) == {"budget.steps=", "budget.episodes="}


def test_completion_script(light: Server, tmp_path: Path) -> None:
    assert "complete -o nospace" in output_of(light, tmp_path, "-sc", "install=bash")
