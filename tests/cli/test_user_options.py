"""A user's baseline, network and environment, from a module and a config folder in the working directory."""

from collections.abc import Callable
from pathlib import Path

import pytest

import pgexp
from pgexp.runs.provenance import hash_code
from pgexp.runs.run_log import Row, RunLogReader
from tests.cli.conftest import Done
from tests.cli.console import Server

OWN = ("--config-dir", "myconf", "baseline=mine", "network=mine", "env=mine")
NAME = "mine:Clock-v0 mine seed=0"


@pytest.fixture(scope="module")
def run(ready: Server, workplace: Callable[[], Path]) -> Done:
    folder = workplace()
    return Done(folder, ready.run(folder, *OWN, "budget.steps=64", "evaluation.final_episodes=2"))


def test_user_options_train(run: Done) -> None:
    assert (run.answer.code, run.answer.err) == (0, "")
    assert run.store.statuses == {NAME: "FINISHED"}
    rows = [item for item in RunLogReader(run.output / "rows.jsonl").read() if isinstance(item, Row)]
    assert [row.steps for row in rows] == [32, 64, 64]  # eight episodes of four steps per update, then the evaluation
    assert [row.metrics.get("baseline/level") for row in rows] == [0.5, 0.5, None]


def test_user_options_are_recorded_by_name_and_key(run: Done) -> None:
    params = run.store.runs[NAME].data.params
    expected = {"baseline": "mine", "baseline.level": "0.5", "network": "mine", "network.units": "3", "env": "mine"}
    assert params.items() >= expected.items()


def test_user_code_is_in_the_code_hash(run: Done) -> None:
    package = Path(pgexp.__file__).parent
    tag = run.store.runs[NAME].data.tags["pgexp.code"]
    assert tag == hash_code(package, {"mine.py": run.folder / "mine.py"})
    assert tag != hash_code(package, {})


@pytest.mark.parametrize(
    ("line", "expected_error"),
    [
        ("baseline=mine baseline.level=1.5", "baseline.level: must be a number at least 0 and at most 1 (got 1.5)"),
        ("-m baseline=mine baseline.level=0.5,2", "baseline.level: must be a number at least 0 and at most 1 (got 2)"),
        ("network=mine network.units=0", "network.units: must be a whole number greater than 0 (got 0)"),
    ],
)
def test_wrong_value_of_a_user_parameter(light: Server, own: Path, line: str, expected_error: str) -> None:
    answer = light.run(own, "--config-dir", "myconf", *line.split(" "))
    assert answer.mistake == expected_error
    assert answer.loaded == []
