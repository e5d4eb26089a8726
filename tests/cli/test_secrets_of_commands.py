"""Secrets of a command line, which must be in no file and not in MLflow."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.conftest import CLOCK, Done
from tests.cli.console import Server

SECRET = "-".join(("s3cr3t", "hunter7"))  # not in one piece, since a run keeps the diff of this file
IN_CONFIG = (
    f"+env.kwargs.api_key={SECRET}",
    f"+env.kwargs.service=http://me:{SECRET}@host/path",
    "+env.kwargs.n_tokens=5",
)


def files_with(folder: Path, text: str) -> list[str]:
    """Return the files in a folder that contain a text."""
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
    """A command with secrets among the environment's arguments, recorded in a new store."""
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


def test_config_secrets_are_in_no_file_and_not_in_mlflow(trained: Done) -> None:
    assert (trained.answer.code, trained.answer.err) == (0, "")
    assert SECRET not in trained.answer.out
    assert files_with(trained.folder, SECRET) == []
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
def test_store_password_is_in_no_file_and_no_output(ready: Server, own: Path, mistake: tuple[str, ...]) -> None:
    uri = f"tracking.uri=http://me:{SECRET}@127.0.0.1:1"
    answer = ready.run(own, *CLOCK, "budget.steps=32", uri, *mistake)
    assert answer.code == (2 if mistake else 0)
    assert SECRET not in answer.out + answer.err
    assert mistake or "http://me:***@127.0.0.1:1: not everything could be recorded" in answer.out
    shutil.rmtree(own / "myconf")
    assert files_with(own, SECRET) == []
