"""Cache of compiled kernels: processes at once, folders that cannot be written, and changes of a user's modules."""

import importlib
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numba import float64

from pgexp.envs.compiled.dynamics import Kernels, kernels
from pgexp.kernels import compilation
from pgexp.kernels.compilation import CACHE_VARIABLE, cache_folder, compiled, user_kernel
from tests.conftest import Compose

ANNOUNCEMENT = "pgexp: compiling kernels for this processor (once, up to half a minute) ...\n"

# Trains the run of a pickled config on standard input and prints a digest of its parameters.
TRAINING = """
from pgexp.schema.determinism import pin
pin()
import hashlib, pickle, sys
import torch
from pgexp.execution.assembly import assemble
torch.set_num_threads(1)
run = assemble(pickle.load(sys.stdin.buffer))
updates = sum(1 for _ in run.trainer.train())
print(updates, hashlib.sha256(run.parameters.vector.numpy().tobytes()).hexdigest())
"""

# Prints 3 * 4 + 5, computed by a kernel of the module `small`, and how often the kernel came from the cache.
CALL = """
from numba import float64
from pgexp.kernels.compilation import compiled
from small import add_product
function = compiled(add_product, float64(float64, float64, float64))
print(function(3.0, 4.0, 5.0), sum(function.stats.cache_hits.values()), sum(function.stats.cache_misses.values()))
"""
SMALL = """
from pgexp.kernels.compilation import kernel

@kernel
def add_product(a, b, c):
    return a * b + c
"""

DYNAMICS = """
import numpy as np
from gymnasium.spaces import Box, Discrete
from pgexp.envs.compiled.dynamics import CONTINUES, Dynamics
from helper import gain


class Own(Dynamics):
    state_size = 1
    observation_space = Box(-np.inf, np.inf, (1,), np.float64)
    action_space = Discrete(2)

    @staticmethod
    def reset(state, rng, parameters):
        state[0] = 0.0

    @staticmethod
    def step(state, action, rng, parameters, reward):
        reward[0] = gain(action[0])
        return CONTINUES

    @staticmethod
    def observe(state, parameters, observation, mask):
        observation[0] = state[0]
"""
MODULES = ("mine", "helper", "constants")

Write = Callable[..., ModuleType]


def start(code: str, cache: Path, folder: Path | None = None) -> subprocess.Popen[bytes]:
    """Start a Python process with a cache folder, in a folder."""
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        env=environment | {CACHE_VARIABLE: str(cache)},
    )


def output(process: subprocess.Popen[bytes], given: bytes = b"") -> tuple[str, str]:
    """Return what a process that succeeds writes to its two streams."""
    out, err = (stream.decode() for stream in process.communicate(given))
    assert process.returncode == 0, err
    return out, err


def called(cache: Path, folder: Path) -> tuple[list[str], str]:
    """Return the words that CALL prints, and its standard error."""
    out, err = output(start(CALL, cache, folder))
    return out.split(), err


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A folder with the module `small`."""
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "small.py").write_text(SMALL)
    return folder


@pytest.mark.slow
def test_concurrent_processes_share_an_empty_cache(configured: Compose, tmp_path: Path) -> None:
    config = configured("env=cartpole", "network.widths=[8]", "algorithm.batch.episodes=8", "budget.steps=400")
    processes = [start(TRAINING, tmp_path / "cache") for _ in range(3)]
    outputs = [output(process, pickle.dumps(config)) for process in processes]
    assert {err for _, err in outputs} <= {"", ANNOUNCEMENT}
    assert any(err for _, err in outputs)
    out, err = output(start(TRAINING, tmp_path / "cache"), pickle.dumps(config))
    assert int(out.split()[0]) > 1
    assert {out for out, _ in outputs} == {out}
    assert err == "", "the second start compiles nothing"


def test_a_second_start_loads_from_the_cache(small: Path, tmp_path: Path) -> None:
    assert called(tmp_path / "cache", small) == (["17.0", "0", "1"], ANNOUNCEMENT)
    assert called(tmp_path / "cache", small) == (["17.0", "1", "0"], "")


def test_a_read_only_cache_folder_is_reported_in_one_line(small: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")  # root may write into any folder, but nobody can make one below a file
    words, err = called(tmp_path / "file" / "cache", small)
    assert words == ["17.0", "0", "1"]
    line, announcement = err.splitlines(keepends=True)
    assert line.startswith("pgexp: kernels are compiled again in each process, because ")
    assert f"{tmp_path}/file/cache/" in line
    assert f"Set {CACHE_VARIABLE} to a folder" in line
    assert announcement == ANNOUNCEMENT


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty kernel cache of this process, in the place of the usual one."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    cache_folder.cache_clear()
    yield cache_folder()
    monkeypatch.undo()
    cache_folder.cache_clear()


@pytest.fixture
def write(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Return a function that writes the user's modules and imports `mine` as a new process would."""
    folder = tmp_path / "own"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)

    def written(**texts: str) -> ModuleType:
        for name, text in texts.items():
            (folder / f"{name}.py").write_text(text)
        for name in MODULES:
            monkeypatch.delitem(sys.modules, name, raising=False)
        importlib.invalidate_caches()
        return importlib.import_module("mine")

    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # bytecode of equal size and second would hide a change
    return written


def reward(found: Kernels) -> float:
    """Return the reward of a step with action 1."""
    rewards = np.zeros(1)
    found.step(np.zeros(1), np.ones(1), np.ones(4, np.uint64), np.zeros(0), rewards)
    return float(rewards[0])


def hits(found: Kernels) -> list[int]:
    """Return how often each function came from the cache."""
    return [sum(function.stats.cache_hits.values()) for function in found]


@pytest.mark.parametrize("decorator", ["numba.njit", "kernel"])
def test_a_change_of_a_helper_module_is_noticed(write: Write, decorator: str) -> None:
    helper = f"""
import numba
from pgexp.kernels.compilation import kernel

@{decorator}
def gain(action):
    return action * FACTOR
"""
    found = kernels(write(mine=DYNAMICS, helper=helper.replace("FACTOR", "2.0")).Own())
    assert (reward(found), hits(found)) == (2.0, [0, 0, 0])
    found = kernels(write().Own())
    assert (reward(found), hits(found)) == (2.0, [1, 1, 1]), "unchanged, it is loaded"
    found = kernels(write(helper=helper.replace("FACTOR", "3.0")).Own())
    assert (reward(found), hits(found)) == (3.0, [0, 0, 0])
    found = kernels(write(helper=helper.replace("FACTOR", "2.0")).Own())
    assert (reward(found), hits(found)) == (2.0, [1, 1, 1]), "the first version is still in the cache"


@pytest.mark.parametrize("prefix", [sys.base_prefix, "/"])
def test_a_change_of_a_module_that_a_helper_imports_is_noticed(
    write: Write, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    """A user's folder may be below Python's prefix: /usr/src, if Python is in /usr/bin."""
    monkeypatch.setattr(sys, "base_prefix", prefix)
    helper = """
from constants import FACTOR
from pgexp.kernels.compilation import kernel

@kernel
def gain(action):
    return action * FACTOR
"""
    assert reward(kernels(write(mine=DYNAMICS, helper=helper, constants="FACTOR = 2.0").Own())) == 2.0
    assert reward(kernels(write(constants="FACTOR = 3.0").Own())) == 3.0


def test_functions_without_a_file_are_not_cached(cache: Path) -> None:
    names: dict[str, Any] = {"kernel": compilation.kernel}
    exec("@kernel\ndef double(x):\n    return 2.0 * x\n\ndef triple(x):\n    return double(x) + x\n", names)
    function = compiled(user_kernel(names["triple"]), float64(float64))
    assert function(5.0) == 15.0
    assert list(cache.rglob("*.nb?")) == []


def test_dynamics_of_a_program_without_a_file_are_compiled(tmp_path: Path) -> None:
    helper = "from pgexp.kernels.compilation import kernel\n@kernel\ndef gain(action):\n    return 7.0 * action\n"
    call = """
from pgexp.envs.compiled.dynamics import kernels
rewards = np.zeros(1)
kernels(Own()).step(np.zeros(1), np.ones(1), np.ones(4, np.uint64), np.zeros(0), rewards)
print(rewards[0])
"""
    code = helper + DYNAMICS.replace("from helper import gain\n", "") + call
    assert output(start(code, tmp_path / "cache"))[0] == "7.0\n"
