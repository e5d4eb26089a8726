"""From a sweep's seeds to the sweep of fresh ones: the same configurations, by the command that is printed."""

import os
import shlex
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from pgexp.cli.selecting import Selection, command_lines, make_selection, tell_selection, train
from pgexp.comparison import frames
from pgexp.comparison.selecting import origin_notes
from pgexp.comparison.store import ComparisonError
from pgexp.schema.names import FINAL_RETURN
from tests.cli.conftest import SHORT, Done
from tests.cli.console import Server


@pytest.fixture(scope="module")
def sweep(workplace: Callable[[], Path], ready: Server) -> Done:
    """A sweep of two configurations with two seeds each."""
    folder = workplace()
    return Done(folder, ready.run(folder, "-m", "baseline=none,mean", "seed=1,2", *SHORT))


@pytest.fixture
def runs(sweep: Done, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """The sweep's runs, as its store has them, read where it was called."""
    monkeypatch.chdir(sweep.folder)
    uri = f"sqlite:///{sweep.folder}/mlflow.db"
    return frames.runs(uri, sweeps=newest(uri)[-1])


def newest(uri: str) -> list[str]:
    return [str(sweep) for sweep in frames.sweeps(uri)["sweep"]]


@pytest.mark.slow
def test_the_printed_command_trains_the_chosen_configurations_on_fresh_seeds(
    sweep: Done, runs: pd.DataFrame, ready: Server
) -> None:
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
        assert origin_notes(frame, runs) == [f"Chosen by sweep {origin}, reported on fresh seeds."]


def test_one_configuration_is_chosen_of_all(sweep: Done, runs: pd.DataFrame) -> None:
    runs.loc[runs["param.baseline"] == "mean", FINAL_RETURN] = 1e6
    selection = make_selection(runs, ["x"], f"sqlite:///{sweep.folder}/mlflow.db")
    (words,) = selection.commands
    assert "baseline=mean" in words
    assert "seed=range(100,117)" in words, "they show a difference of one standard deviation with power .8"
    assert not any(word.startswith("tracking") for word in words), "they are recorded where the sweep is by default"


def test_fresh_runs_are_recorded_where_the_sweep_was(sweep: Done, runs: pd.DataFrame, tmp_path: Path) -> None:
    runs["experiment"] = "another one"
    (words,) = make_selection(runs, ["x"], "sqlite:////elsewhere/mlflow.db").commands
    assert {"tracking.uri=sqlite:////elsewhere/mlflow.db", "tracking.experiment='another one'"} < set(words)


def test_a_configuration_that_composes_to_another_one_today_is_refused(runs: pd.DataFrame) -> None:
    runs["configuration"] += " of old"
    with pytest.raises(ComparisonError, match="is another configuration today, since a default or an option's file"):
        make_selection(runs, ["x"], "sqlite:///mlflow.db")


def test_a_sweep_is_selected_from_by_its_folder_without_a_store(sweep: Done, runs: pd.DataFrame) -> None:
    of_folder = frames.runs(Path(runs["folder"][0]).parent)
    ours = make_selection(of_folder, ["x"], "sqlite:///mlflow.db", ["baseline"], 2)
    theirs = make_selection(runs, ["x"], "sqlite:///mlflow.db", ["baseline"], 2)
    assert [words[:-1] for words in ours.commands] == [words[:-1] for words in theirs.commands]


def test_the_choice_is_told_with_its_size_and_the_way_to_what_it_is_worth(sweep: Done, runs: pd.DataFrame) -> None:
    selection = make_selection(runs, ["x"], "sqlite:///mlflow.db", ["baseline"], 2)
    text = StringIO()
    tell_selection(selection, Console(file=text, width=200))
    lines = text.getvalue().splitlines()
    assert lines[0].strip() == "Chosen on CartPole-v1"
    assert " ".join(lines[1].split()) == "method configuration mean seeds failed best of overstated by"
    row = lines[3].split()
    assert row[:2] == ["baseline=mean", "baseline=mean"]
    assert float(row[2]) == pytest.approx(selection.chosen["score"][0], abs=0.06)
    assert row[3:6] == ["2", "0", "1"]
    assert "overstated" in text.getvalue()
    assert [line.strip() for line in lines[-2:]] == command_lines(selection)


def selected(*commands: list[str]) -> Selection:
    return Selection(pd.DataFrame(), [], list(commands), [])


def test_training_goes_on_after_a_failure_and_ends_with_a_command_that_is_refused(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    codes = iter([0, 1, 0, 2, 0])
    called: list[list[str]] = []

    def code(call: list[str], environment: object) -> int:
        called.append(call)
        return next(codes)

    monkeypatch.setattr("pgexp.cli.selecting._called", code)
    assert train(selected(*([f"seed={number}"] for number in range(5))), {}) == 2
    assert called == [[sys.executable, "-m", "pgexp.cli.train", f"seed={number}"] for number in range(4)]


def test_a_command_is_a_process_of_its_own(capfd: pytest.CaptureFixture[str]) -> None:
    assert train(selected(["baseline=nonsense"]), dict(os.environ)) == 2
    assert "given 'nonsense'; there is no such option" in capfd.readouterr().err
