"""A model in a new environment with the packages of its requirements.txt only, and served from there.

It takes minutes and needs a package index. `make serving` runs it; `make test` does not.
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
from tests.serving.exported import PARAMS, ExportedPolicy, export_policy, write_user


@pytest.fixture(scope="module")
def exported(configured: Compose, tmp_path_factory: pytest.TempPathFactory) -> ExportedPolicy:
    folder = tmp_path_factory.mktemp("model")
    write_user(folder / "user")
    sys.path.insert(0, str(folder / "user"))
    found = export_policy(configured("env=pendulum"), folder / "run")
    sys.path.remove(str(folder / "user"))
    (folder / "user").rename(folder / "gone")
    return found


@pytest.fixture(scope="module")
def python(exported: ExportedPolicy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of the new environment."""
    environment = tmp_path_factory.mktemp("clean")
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    python = environment / "bin" / "python"
    command = [python, "-m", "pip", "install", "--quiet", "--requirement", exported.path / "requirements.txt"]
    subprocess.run(command, check=True)
    return python


def test_environment_has_no_pgexp(python: Path) -> None:
    done = subprocess.run([python, "-I", "-c", "import pgexp"], capture_output=True, text=True, check=False, cwd="/")
    assert "No module named 'pgexp'" in done.stderr


def test_model_acts_as_the_policy(exported: ExportedPolicy, python: Path) -> None:
    assert exported.load(python)["actions"] == exported.actions


@pytest.fixture(scope="module")
def served(exported: ExportedPolicy, python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address at which ``mlflow models serve`` serves the model."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [python.with_name("mlflow"), "models", "serve", "-m", exported.path, "--env-manager", "local"]
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


def answer(address: str, **content: Any) -> Any:
    request = Request(f"{address}/invocations", json.dumps(content).encode(), {"Content-Type": "application/json"})
    with urlopen(request) as reply:
        return json.load(reply)["predictions"]


@pytest.mark.parametrize("mode", PARAMS)
def test_server_answers_with_actions(exported: ExportedPolicy, served: str, mode: str) -> None:
    actions = answer(served, inputs=exported.observations.tolist(), params=dict(PARAMS[mode]))
    assert actions == exported.actions[mode]
