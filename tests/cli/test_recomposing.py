"""What Hydra recorded of a run composes to the config that it had."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from pgexp.cli.recomposing import Composition, compose_again, recorded_composition
from pgexp.comparison.store import ComparisonError
from pgexp.schema.errors import ConfigError
from pgexp.schema.identity import run_key
from tests.cli.conftest import OWN
from tests.conftest import Compose


def hydra_file(**changes: Any) -> dict[str, Any]:
    """Return a job's hydra.yaml, as far as it is read, of a sweep by the grid."""
    sources = [{"path": "/conf", "schema": "file", "provider": "main"}, *changes.get("sources", [])]
    choices = {"hydra/sweeper": changes.get("sweeper", "grid")}
    overrides = {"hydra": ["hydra.mode=MULTIRUN", *changes.get("hydra", [])], "task": changes.get("task", ["seed=1"])}
    sweeper = {"params": changes.get("params")}
    return {
        "hydra": {
            "runtime": {"config_sources": sources, "choices": choices},
            "overrides": overrides,
            "sweeper": sweeper,
        }
    }


def recorded(folder: Path, content: object, subfolder: str = "config") -> Composition:
    (folder / subfolder).mkdir(exist_ok=True)
    (folder / subfolder / "hydra.yaml").write_text(yaml.safe_dump(content))
    return recorded_composition("run", folder.as_uri(), "sqlite:///none.db")


@pytest.mark.parametrize("subfolder", ["config", ".hydra"])
def test_a_runs_overrides_are_read_from_its_artifacts_or_its_folder(tmp_path: Path, subfolder: str) -> None:
    found = recorded(tmp_path, hydra_file(task=["baseline=none", "seed=1"]), subfolder)
    assert found == Composition((), ("baseline=none", "seed=1"))


def test_folders_of_options_are_among_what_the_command_needs(tmp_path: Path) -> None:
    command_line = {"path": "/mine/conf", "schema": "file", "provider": "command-line"}
    found = recorded(tmp_path, hydra_file(sources=[command_line], hydra=["hydra.searchpath=[file:///yours]"]))
    assert found.options == ("--config-dir=/mine/conf", "hydra.searchpath=[file:///yours]")


@pytest.mark.parametrize(
    ("changes", "options", "is_searched"),
    [
        ({"params": {"seed": "range(5)"}}, ("hydra.sweeper.params=null",), False),
        ({"sweeper": "optuna", "hydra": ["hydra/sweeper=optuna"]}, (), False),
        ({"sweeper": "optuna", "params": {"lr": "1,2"}}, (), True),
    ],
)
def test_what_a_file_sweeps_is_not_swept_again(
    tmp_path: Path, changes: dict[str, Any], options: tuple[str, ...], is_searched: bool
) -> None:
    found = recorded(tmp_path, hydra_file(**changes))
    assert (found.options, found.is_searched) == (options, is_searched)


def test_a_run_whose_files_are_missing_or_damaged_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(ComparisonError, match=r"run run has no hydra.yaml of Hydra's"):
        recorded_composition("run", tmp_path.as_uri(), "sqlite:///none.db")
    with pytest.raises(ComparisonError, match="Hydra's files of run run are damaged"):
        recorded(tmp_path, ["no", "mapping"])
    (tmp_path / "config" / "hydra.yaml").write_text("a: [")
    with pytest.raises(ComparisonError, match=r"hydra.yaml of run run can't be read"):
        recorded_composition("run", tmp_path.as_uri(), "sqlite:///none.db")


def test_composing_again_gives_the_same_config(configured: Compose) -> None:
    overrides = ("baseline=value", "optimizer.lr=0.03", "+env.kwargs.sutton_barto_reward=true", "seed=5")
    assert run_key(compose_again(Composition((), overrides))) == run_key(configured(*overrides))


def test_options_of_ones_own_are_found_in_their_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(OWN, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    for options in ((f"--config-dir={tmp_path}/myconf",), (f"hydra.searchpath=[file://{tmp_path}/myconf]",)):
        config = compose_again(Composition(options, ("baseline=mine",)))
        assert config.baseline.target == "mine.Level"


def test_what_composes_no_more_is_told_in_a_sentence() -> None:
    with pytest.raises(ConfigError, match="there is no such option"):
        compose_again(Composition((), ("baseline=gone",)))


def test_keys_are_left_out_with_what_is_below_them() -> None:
    composition = Composition((), ("seed=1", "seeds=2", "+a.b=1", "~a.c", "a=1"))
    assert composition.without(["seed", "a"]) == ("seeds=2",)
