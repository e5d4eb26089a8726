"""Secrets of a command line, searched for in every file and in all of MLflow, byte for byte."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.conftest import CLOCK, Done
from tests.cli.console import Server

SECRET = "s3cr3t-hunter2"
IN_CONFIG = (
    f"+env.kwargs.api_key={SECRET}",
    f"+env.kwargs.service=http://me:{SECRET}@host/path",
    "+env.kwargs.n_tokens=5",
)


def holding(folder: Path, text: str) -> list[str]:
    """Return the files below a folder that hold a text."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return [str(path.relative_to(folder)) for path in files if text.encode() in path.read_bytes()]


@pytest.fixture(
    params=[
        pytest.param((), id="run"),
        pytest.param(("hydra.output_subdir=said",), id="run that writes elsewhere", marks=pytest.mark.slow),
        pytest.param(("-m", "seed=0,1"), id="sweep", marks=pytest.mark.slow),
    ]
)
def trained(request: pytest.FixtureRequest, ready: Server, own: Path, fresh_store: Path) -> Done:
    """A command with secrets among the environment's arguments, recorded in a store of its own."""
    shutil.copy(fresh_store, own)
    arguments = (*request.param, *CLOCK, "env.id=open:Open-v0", "budget.steps=32", *IN_CONFIG)
    (own / "open.py").write_text(
        "import gymnasium\n"
        "from mine import Clock\n"
        "class Open(Clock):\n"
        "    def __init__(self, api_key, service, n_tokens, **kwargs):\n"
        "        super().__init__(**kwargs)\n"
        "gymnasium.register('Open-v0', Open, max_episode_steps=4)\n"
    )
    return Done(own, ready.run(own, *arguments))


def test_secrets_of_a_config_are_in_no_file_and_not_in_mlflow(trained: Done) -> None:
    assert (trained.answer.code, trained.answer.err) == (0, "")
    assert SECRET not in trained.answer.out
    assert holding(trained.folder, SECRET) == []
    with closing(sqlite3.connect(trained.folder / "mlflow.db")) as connection:
        stored = "\n".join(connection.iterdump())
    assert SECRET not in stored
    assert "'env.kwargs.api_key','***'" in stored
    assert "'env.kwargs.service','http://me:***@host/path'" in stored
    assert "'env.kwargs.n_tokens','5'" in stored
    for config in trained.output.rglob(".hydra/config.yaml"):
        assert "n_tokens: 5" in config.read_text()
        assert "- +env.kwargs.api_key=***" in (config.parent / "overrides.yaml").read_text()


@pytest.mark.parametrize(
    "mistake",
    [
        pytest.param((), id="away", marks=pytest.mark.slow),
        pytest.param(("budget.stepz=3",), id="a mistake in the config"),
    ],
)
def test_a_store_s_password_is_in_no_file_and_nowhere_told(ready: Server, own: Path, mistake: tuple[str, ...]) -> None:
    uri = f"tracking.uri=http://me:{SECRET}@127.0.0.1:1"
    answer = ready.run(own, *CLOCK, "budget.steps=32", uri, *mistake)
    assert answer.code == (2 if mistake else 0)
    assert SECRET not in answer.out + answer.err
    assert mistake or "http://me:***@127.0.0.1:1: not everything could be recorded" in answer.out
    shutil.rmtree(own / "myconf")
    assert holding(own, SECRET) == []
