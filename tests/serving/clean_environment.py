"""A model in a fresh environment that has nothing but what its requirements.txt pins; and served from there.

Takes minutes and a package index: `make serving`, and no part of `make test`, which runs files named test_*.py.
"""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest

from tests.conftest import Compose
from tests.serving.made import PARAMS, Made, make, write_user


@pytest.fixture(scope="module")
def made(configured: Compose, tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("model")
    write_user(folder / "user")
    sys.path.insert(0, str(folder / "user"))
    found = make(configured("env=pendulum"), folder / "run")
    sys.path.remove(str(folder / "user"))
    (folder / "user").rename(folder / "gone")
    return found


@pytest.fixture(scope="module")
def python(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of the fresh environment."""
    environment = tmp_path_factory.mktemp("clean")
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    python = environment / "bin" / "python"
    command = [python, "-m", "pip", "install", "--quiet", "--requirement", made.path / "requirements.txt"]
    subprocess.run(command, check=True)
    return python


def test_the_environment_has_no_pgexp(python: Path) -> None:
    done = subprocess.run([python, "-I", "-c", "import pgexp"], capture_output=True, text=True, check=False, cwd="/")
    assert "No module named 'pgexp'" in done.stderr


def test_it_acts_as_training_s_policy(made: Made, python: Path) -> None:
    assert made.load(python)["actions"] == made.actions


@pytest.fixture(scope="module")
def served(made: Made, python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address at which ``mlflow models serve`` serves the model."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [python.with_name("mlflow"), "models", "serve", "-m", made.path, "--env-manager", "local"]
    environment = os.environ | {"PATH": f"{python.parent}:{os.environ['PATH']}", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (tmp_path_factory.mktemp("served") / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)], stdout=log, stderr=log, env=environment, cwd="/"
        )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait(f"{address}/ping", process)
        yield address
    finally:
        process.terminate()
        process.wait()


def _wait(address: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        try:
            urlopen(address).close()
            return
        except URLError:
            assert process.poll() is None, "the server has ended"
            time.sleep(0.1)
    raise TimeoutError(address)


def answer(address: str, **asked: Any) -> Any:
    request = Request(f"{address}/invocations", json.dumps(asked).encode(), {"Content-Type": "application/json"})
    with urlopen(request) as reply:
        return json.load(reply)["predictions"]


@pytest.mark.parametrize("how", PARAMS)
def test_a_server_answers_with_actions(made: Made, served: str, how: str) -> None:
    actions = answer(served, inputs=made.observations.tolist(), params=dict(PARAMS[how]))
    assert actions == made.actions[how]
