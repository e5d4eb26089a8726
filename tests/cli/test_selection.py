"""Selection of configurations, the commands for fresh seeds, and the overrides that Hydra recorded of a run."""

import os
import shlex
import shutil
import sys
from collections.abc import Callable
from io import StringIO
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from rich.console import Console

from pgexp.cli.selection import (
    RecordedOverrides,
    Selection,
    SweepCommand,
    command_lines,
    compose_recorded,
    make_command,
    make_selection,
    merge,
    print_selection,
    quote,
    read_overrides,
    sweep_arguments,
    train,
)
from pgexp.comparison import frames
from pgexp.comparison.model_selection import fresh_seed_notes
from pgexp.schema.errors import UserError
from pgexp.schema.identity import run_key
from pgexp.schema.names import FINAL_RETURN
from tests.cli.conftest import OWN, SHORT, Done
from tests.cli.console import Server
from tests.conftest import Compose


@pytest.fixture(scope="module")
def sweep(workplace: Callable[[], Path], ready: Server) -> Done:
    """A sweep of two configurations with two seeds each."""
    folder = workplace()
    return Done(folder, ready.run(folder, "-m", "baseline=none,mean", "seed=1,2", *SHORT))


@pytest.fixture
def runs(sweep: Done, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """The sweep's runs in its store, read in its working directory."""
    monkeypatch.chdir(sweep.folder)
    uri = f"sqlite:///{sweep.folder}/mlflow.db"
    return frames.runs(uri, sweeps=newest(uri)[-1])


def newest(uri: str) -> list[str]:
    return [str(sweep) for sweep in frames.sweeps(uri)["sweep"]]


@pytest.mark.slow
def test_printed_command_trains_the_selection_on_fresh_seeds(sweep: Done, runs: pd.DataFrame, ready: Server) -> None:
    uri, (origin,) = f"sqlite:///{sweep.folder}/mlflow.db", runs["sweep"].unique()
    selection = make_selection(runs, [origin], uri, ["baseline"], seeds=1)
    first, last = command_lines(selection)
    assert first.endswith(" && \\")
    program, *words = shlex.split(first.removesuffix(" && \\"))
    assert program == "pgexp"
    assert last == f"pgexp-compare {selection.folders[0]}"
    answer = ready.run(sweep.folder, *words)
    assert answer.code == 0, answer.err
    fresh = frames.runs([sweep.folder / folder for folder in selection.folders])
    assert set(fresh["configuration"]) == set(runs["configuration"]) == set(selection.chosen["configuration"])
    assert fresh["seed"].tolist() == [100, 100]
    stored = frames.runs(uri, sweeps=fresh["sweep"].iloc[0])
    for frame in (fresh, stored):
        assert fresh_seed_notes(frame, runs) == [f"Selected by sweep {origin}, reported on fresh seeds."]


def test_one_configuration_is_selected_by_default(sweep: Done, runs: pd.DataFrame) -> None:
    runs.loc[runs["param.baseline"] == "mean", FINAL_RETURN] = 1e6
    selection = make_selection(runs, ["x"], f"sqlite:///{sweep.folder}/mlflow.db")
    (words,) = selection.commands
    assert "baseline=mean" in words
    assert "seed=range(100,117)" in words, "they show a difference of one standard deviation with power .8"
    assert not any(word.startswith("tracking") for word in words), "they are recorded where the sweep is by default"


def test_fresh_runs_use_the_store_of_the_sweep(sweep: Done, runs: pd.DataFrame, tmp_path: Path) -> None:
    runs["experiment"] = "another one"
    (words,) = make_selection(runs, ["x"], "sqlite:////elsewhere/mlflow.db").commands
    assert {"tracking.uri=sqlite:////elsewhere/mlflow.db", "tracking.experiment='another one'"} < set(words)


def test_changed_configuration_is_refused(runs: pd.DataFrame) -> None:
    runs["configuration"] += " of old"
    with pytest.raises(UserError, match="is another configuration today"):
        make_selection(runs, ["x"], "sqlite:///mlflow.db")


def test_selection_from_a_folder_without_a_store(sweep: Done, runs: pd.DataFrame) -> None:
    of_folder = frames.runs(Path(runs["folder"][0]).parent)
    ours = make_selection(of_folder, ["x"], "sqlite:///mlflow.db", ["baseline"], 2)
    theirs = make_selection(runs, ["x"], "sqlite:///mlflow.db", ["baseline"], 2)
    assert [words[:-1] for words in ours.commands] == [words[:-1] for words in theirs.commands]


def test_selection_is_printed_with_its_bias_and_command(sweep: Done, runs: pd.DataFrame) -> None:
    selection = make_selection(runs, ["x"], "sqlite:///mlflow.db", ["baseline"], 2)
    text = StringIO()
    print_selection(selection, Console(file=text, width=200))
    lines = text.getvalue().splitlines()
    assert lines[0].strip() == "Selected on CartPole-v1"
    assert " ".join(lines[1].split()) == "method configuration mean seeds failed best of overstated by"
    row = lines[3].split()
    assert row[:2] == ["baseline=mean", "baseline=mean"]
    assert float(row[2]) == pytest.approx(selection.chosen["score"][0], abs=0.06)
    assert row[3:6] == ["2", "0", "1"]
    assert "overstated by" in text.getvalue()
    assert [line.strip() for line in lines[-2:]] == command_lines(selection)


def selected(*commands: list[str]) -> Selection:
    return Selection(pd.DataFrame(), [], list(commands), [])


def test_training_stops_at_a_usage_error_not_at_a_failure(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    codes = iter([0, 1, 0, 2, 0])
    called: list[list[str]] = []

    def code(call: list[str], environment: object) -> int:
        called.append(call)
        return next(codes)

    monkeypatch.setattr("pgexp.cli.selection._call", code)
    assert train(selected(*([f"seed={number}"] for number in range(5))), {}) == 2
    assert called == [[sys.executable, "-m", "pgexp.cli.train", f"seed={number}"] for number in range(4)]


def test_command_runs_in_another_process(capfd: pytest.CaptureFixture[str]) -> None:
    assert train(selected(["baseline=nonsense"]), dict(os.environ)) == 2
    assert "unknown option (got 'nonsense')" in capfd.readouterr().err


def hydra_file(**changes: Any) -> dict[str, Any]:
    """Return the fields of a job's hydra.yaml that are read, for a grid sweep."""
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


def recorded(folder: Path, content: object, subfolder: str = "config") -> RecordedOverrides:
    (folder / subfolder).mkdir(exist_ok=True)
    (folder / subfolder / "hydra.yaml").write_text(yaml.safe_dump(content))
    return read_overrides("run", folder.as_uri(), "sqlite:///none.db")


@pytest.mark.parametrize("subfolder", ["config", ".hydra"])
def test_overrides_are_read_from_artifacts_or_folder(tmp_path: Path, subfolder: str) -> None:
    found = recorded(tmp_path, hydra_file(task=["baseline=none", "seed=1"]), subfolder)
    assert found == RecordedOverrides((), ("baseline=none", "seed=1"))


def test_config_folders_are_part_of_the_command(tmp_path: Path) -> None:
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
def test_sweep_of_an_experiment_file_is_not_repeated(
    tmp_path: Path, changes: dict[str, Any], options: tuple[str, ...], is_searched: bool
) -> None:
    found = recorded(tmp_path, hydra_file(**changes))
    assert (found.options, found.is_searched) == (options, is_searched)


def test_missing_or_damaged_hydra_files(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"run run has no hydra.yaml of Hydra"):
        read_overrides("run", tmp_path.as_uri(), "sqlite:///none.db")
    with pytest.raises(UserError, match="Hydra's files of run run are damaged"):
        recorded(tmp_path, ["no", "mapping"])
    (tmp_path / "config" / "hydra.yaml").write_text("a: [")
    with pytest.raises(UserError, match=r"hydra.yaml of run run cannot be read"):
        read_overrides("run", tmp_path.as_uri(), "sqlite:///none.db")


def test_composing_again_gives_the_same_config(configured: Compose) -> None:
    overrides = ("baseline=value", "optimizer.lr=0.03", "+env.kwargs.sutton_barto_reward=true", "seed=5")
    assert run_key(compose_recorded(RecordedOverrides((), overrides))) == run_key(configured(*overrides))


def test_user_options_are_found_in_their_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(OWN, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    for options in ((f"--config-dir={tmp_path}/myconf",), (f"hydra.searchpath=[file://{tmp_path}/myconf]",)):
        config = compose_recorded(RecordedOverrides(options, ("baseline=mine",)))
        assert config.baseline.target == "mine.Level"


def test_removed_option_is_reported() -> None:
    with pytest.raises(UserError, match="unknown option"):
        compose_recorded(RecordedOverrides((), ("baseline=gone",)))


def test_removing_keys_removes_nested_keys() -> None:
    composition = RecordedOverrides((), ("seed=1", "seeds=2", "+a.b=1", "~a.c", "a=1"))
    assert composition.without(["seed", "a"]) == ("seeds=2",)


def sweep_command(*overrides: str, options: tuple[str, ...] = (), is_searched: bool = False) -> SweepCommand:
    return make_command(RecordedOverrides(options, overrides, is_searched), {})


def trained(grids: list[SweepCommand]) -> list[set[tuple[str, ...]]]:
    """Return the jobs of each command."""
    parsed = [OverridesParser.create().parse_overrides(each.arguments) for each in grids]
    lines = [
        [(one.key_or_group, one.sweep_string_iterator() if one.is_sweep_override() else [one.value()]) for one in each]
        for each in parsed
    ]
    return [set(product(*([f"{key}={value}" for value in values] for key, values in each))) for each in lines]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([("a=1", "b=2")], [{("a=1", "b=2")}]),
        ([("a=1", "b=2"), ("a=1", "b=3")], [{("a=1", "b=2"), ("a=1", "b=3")}]),
        ([("a=1", "b=2"), ("a=2", "b=3")], [{("a=1", "b=2")}, {("a=2", "b=3")}]),
        (
            [("a=1", "b=1"), ("a=2", "b=2"), ("a=1", "b=2"), ("a=2", "b=1")],
            [{("a=1", "b=1"), ("a=2", "b=2"), ("a=1", "b=2"), ("a=2", "b=1")}],
        ),
        ([("a=1", "b=1"), ("a=1", "b=2"), ("a=2", "b=2")], [{("a=1", "b=1"), ("a=1", "b=2")}, {("a=2", "b=2")}]),
        ([("a=1",), ("b=1",)], [{("a=1",)}, {("b=1",)}]),
        ([("a=1",), ("a=1",)], [{("a=1",)}]),
    ],
)
def test_commands_train_the_selection_only(given: list[tuple[str, ...]], expected: list[set[tuple[str, ...]]]) -> None:
    assert trained(merge([sweep_command(*overrides) for overrides in given])) == expected


def test_other_folders_and_searches_are_not_merged() -> None:
    one, two = sweep_command("a=1"), sweep_command("a=2", options=("--config-dir=mine",))
    assert merge([one, two]) == [one, two]
    assert two.arguments == ["--config-dir=mine", "a=2"]
    searched = [sweep_command(f"a={value}", is_searched=True) for value in (1, 2)]
    assert merge(searched) == searched


def test_overrides_are_kept_except_those_of_the_sweep() -> None:
    overrides = (
        "seed=3",
        "+env.kwargs.x=1",
        "~env.wrappers",
        "network.widths=[8,8]",
        "sweep.rerun=true",
        "sweep.fail_fast=true",
    )
    kept = make_command(RecordedOverrides((), overrides), {"tracking.uri": "sqlite:////a b/mlflow.db"})
    assert kept.arguments == [
        "+env.kwargs.x=1",
        "~env.wrappers",
        "network.widths=[8,8]",
        "sweep.fail_fast=true",
        "tracking.uri='sqlite:////a b/mlflow.db'",
    ]


def test_changed_key_has_its_new_value_only() -> None:
    kept = make_command(
        RecordedOverrides((), ("tracking.uri=sqlite:///old.db", "a=1")), {"tracking.uri": "sqlite:///new.db"}
    )
    assert kept.arguments == ["a=1", "tracking.uri=sqlite:///new.db"]


def test_arguments_of_the_fresh_sweep() -> None:
    words = sweep_arguments(sweep_command("a=1"), range(100, 117), "x-1 and y-2", Path("multirun/here"))
    assert words == [
        "-m",
        "a=1",
        "seed=range(100,117)",
        "sweep.selected_from='x-1 and y-2'",
        "hydra.sweep.dir=multirun/here",
    ]
    by_none = sweep_arguments(sweep_command("a=1"), range(100, 117), "", Path("multirun/here"))
    assert by_none == [words[0], words[1], words[2], words[4]], "single runs are of no sweep that could be named"


@pytest.mark.parametrize("text", ["plain", "a b", "it's", "back\\slash", "a,b", "sqlite:////x/y.db", "[1]", "a\\'"])
def test_quoted_text_is_parsed_unchanged(text: str) -> None:
    override = OverridesParser.create().parse_override(f"key={quote(text)}")
    assert not override.is_sweep_override()
    value = override.value()
    assert str(getattr(value, "text", value)) == text
