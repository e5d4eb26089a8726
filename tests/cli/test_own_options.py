"""A user's own baseline, network and environment, from a module and a config folder where the command is called."""

from collections.abc import Callable
from pathlib import Path

import pytest

import pgexp
from pgexp.storage.provenance import hash_code
from pgexp.storage.spool import Row, SpoolReader
from tests.cli.conftest import Done
from tests.cli.console import Server

OWN = ("--config-dir", "myconf", "baseline=mine", "network=mine", "env=mine")
NAME = "mine:Clock-v0 mine seed=0"


@pytest.fixture(scope="module")
def run(ready: Server, workplace: Callable[[], Path]) -> Done:
    folder = workplace()
    return Done(folder, ready.run(folder, *OWN, "budget.steps=64", "evaluation.final_episodes=2"))


def test_own_options_train_like_any_other(run: Done) -> None:
    assert (run.answer.code, run.answer.err) == (0, "")
    assert run.store.statuses == {NAME: "FINISHED"}
    rows = [item for item in SpoolReader(run.output / "rows.jsonl").read() if isinstance(item, Row)]
    assert [row.steps for row in rows] == [32, 64, 64]  # eight episodes of four steps an update, then the evaluation
    assert [row.metrics.get("baseline/level") for row in rows] == [0.5, 0.5, None]


def test_own_options_are_recorded_by_their_names_and_keys(run: Done) -> None:
    params = run.store.runs[NAME].data.params
    expected = {"baseline": "mine", "baseline.level": "0.5", "network": "mine", "network.units": "3", "env": "mine"}
    assert params.items() >= expected.items()


def test_own_code_is_in_the_code_hash(run: Done) -> None:
    package = Path(pgexp.__file__).parent
    tag = run.store.runs[NAME].data.tags["pgexp.code"]
    assert tag == hash_code(package, {"mine.py": run.folder / "mine.py"})
    assert tag != hash_code(package, {})


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("baseline=mine baseline.level=1.5", "baseline.level: given 1.5; must be a number at least 0 and at most 1"),
        ("-m baseline=mine baseline.level=0.5,2", "baseline.level: given 2; must be a number at least 0 and at most 1"),
        ("network=mine network.units=0", "network.units: given 0; must be a whole number greater than 0"),
    ],
)
def test_a_bad_value_of_an_own_parameter_is_refused_alike(light: Server, own: Path, line: str, said: str) -> None:
    answer = light.run(own, "--config-dir", "myconf", *line.split(" "))
    assert answer.mistake == said
    assert answer.loaded == []
