"""Environments in worker processes: equal episodes, errors, replaced workers, and no process left behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

import tests.probes  # noqa: F401 - registers the probes
from pgexp.envs import workers
from pgexp.envs.spec import EnvSpec, inspect, inspect_dynamics
from pgexp.envs.workers import WorkerBank, WorkerEndedError
from tests.bank_builders import Build, Unbuildable
from tests.bank_episodes import Act, along, force, play, tumble
from tests.streams import episode_seed
from tests.user_parts import Dials

ROOT = Path(__file__).parents[2]


def spread(spec: EnvSpec, number: int) -> WorkerBank:
    return WorkerBank(Build(spec), number)


def column(*actions: int) -> np.ndarray:
    return np.array(actions, np.float64)[:, None]


def children() -> list[psutil.Process]:
    """Return the workers among this process's children."""
    return [child for child in psutil.Process().children(recursive=True) if workers.__name__ in child.cmdline()]


def probe(name: str, **kwargs: Any) -> EnvSpec:
    return inspect(f"tests.probes:pgexp-probe/{name}-v0", None, kwargs)


def diary(observations: Any, time: int) -> Any:
    """Return an action that depends on the observation and the time."""
    return (observations[:, 1] + time).astype(np.int64) % 4


@pytest.mark.parametrize(
    ("spec", "act"),
    [
        (inspect("CartPole-v1"), tumble),
        pytest.param(inspect("Acrobot-v1", 60), along(4), marks=pytest.mark.slow),
        pytest.param(inspect("Pendulum-v1", 60), force(2.0), marks=pytest.mark.slow),
        pytest.param(probe("Diary"), diary, marks=pytest.mark.slow),
    ],
    ids=lambda value: getattr(value, "id", None),
)
def test_episodes_are_equal_for_any_number_of_workers(spec: EnvSpec, act: Act) -> None:
    seeds = [episode_seed(3, "env", row) for row in range(20)]
    here = play(Build(spec)(), seeds, act)
    for number in (1, 3):
        there = spread(spec, number)
        assert play(there, seeds, act) == here
        there.close()


def test_answers_are_in_the_order_of_the_rows_asked_for() -> None:
    found = []
    spec, rows = probe("Diary", longest=99), np.arange(5)
    for bank in (Build(spec)(), spread(spec, 2)):
        begun = bank.start(rows, [60, 61, 62, 63, 64])
        again = bank.start(rows[[3, 0]], [70, 71])
        step = bank.step(rows[[4, 0, 3]], column(1, 2, 3))
        found.append([begun.observations.tolist(), again.observations.tolist(), *(part.tolist() for part in step[:4])])
        bank.close()
    assert found[0] == found[1]


def test_masks_are_passed_on() -> None:
    spec = inspect_dynamics(Dials(), "dials", None, "sync")
    found = []
    for bank in (Build(spec)(), spread(spec, 2)):
        begun = bank.start(np.arange(3), [1, 2, 3])
        step = bank.step(np.array([2, 0]), np.array([[0.0, 1.0], [0.0, 2.0]]))
        assert begun.masks is not None
        assert step.masks is not None
        found.append([begun.masks.tolist(), step.masks.tolist(), step.rewards.tolist()])
        bank.close()
    assert found[0] == found[1]
    assert found[0][2] == [10.0, 20.0]


def test_the_number_of_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    for count, expected in ((1, 1), (5, 3)):
        bank = inspect("CartPole-v1", vectorization="async").bank(count)
        assert children() == []  # until the first call
        bank.start(np.arange(count), list(range(count)))
        assert len(children()) == expected
        bank.close()
        assert children() == []


def test_each_worker_has_its_share_of_the_rows() -> None:
    bank, rows = spread(probe("Place"), 3), np.arange(7)
    found = bank.start(rows, list(range(7))).observations[:, 0].tolist()
    assert {int(pid) for pid in found} == {child.pid for child in children()}
    assert found == (found[:3] * 3)[:7]
    assert bank.start(rows[::-1], list(range(7))).observations[:, 0].tolist() == found[::-1]
    bank.close()


@pytest.mark.parametrize(
    ("deed", "kind", "text"),
    [
        ("ValueError", ValueError, "the motor is stuck"),
        pytest.param("EOFError", EOFError, "the motor is stuck", marks=pytest.mark.slow),
        ("StubbornError", RuntimeError, "StubbornError: the motor is stuck"),
        ("SystemExit", RuntimeError, "the environment tried to exit the program: SystemExit('the motor is stuck')"),
        ("exit", WorkerEndedError, "a worker process of the environments ended with code 3"),
    ],
)
def test_an_exception_is_raised_here_and_ends_the_workers(deed: str, kind: type[Exception], text: str) -> None:
    """The step of row 3 fails; a process that exits is replaced once, and fails again."""
    bank, rows = spread(probe("Failing", when=8, deed=deed), 2), np.arange(4)
    bank.start(rows, [5, 6, 12, 8])
    assert len(bank.step(rows[:3], column(0, 1, 2)).rewards) == 3
    with pytest.raises(kind) as caught:
        bank.step(rows, column(0, 1, 2, 3))
    assert str(caught.value) == text
    if deed != "exit":
        assert "in reward" in "".join(caught.value.__notes__)  # the traceback in the worker
    assert children() == []


def kill_one() -> None:
    """Kill the worker that was started first."""
    child = children()[0]
    child.kill()
    child.wait()


@pytest.mark.parametrize("number", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_episodes_continue_in_a_new_process_if_one_was_killed(number: int) -> None:
    """Five rows walk, and start again at their walks' ends. A worker is killed twice, in the middle of episodes."""
    spec, rows, seeds = probe("Walk"), np.arange(5), iter(range(100))
    here, there = Build(spec)(), spread(spec, number)
    begun = [bank.start(rows, list(range(5))).observations.tolist() for bank in (here, there)]
    assert begun[0] == begun[1]
    for time in range(40):
        actions = column(*(rows + time + time // 3) % 2)
        expected, step = here.step(rows, actions), there.step(rows, actions)
        assert [part.tolist() for part in step[:4]] == [part.tolist() for part in expected[:4]]
        ended = rows[step.terminated]
        if len(ended):
            drawn = [next(seeds) for _ in ended]
            again = [bank.start(ended, drawn).observations.tolist() for bank in (here, there)]
            assert again[0] == again[1]
        if time in (3, 21):
            kill_one()
    there.close()
    assert children() == []


def test_a_worker_killed_between_episodes_is_replaced() -> None:
    spec = probe("Diary", longest=99)
    here, there = Build(spec)(), spread(spec, 1)
    for bank in (here, there):
        bank.start(np.arange(2), [60, 61])
    kill_one()
    found = [bank.start(np.arange(2), [62, 63]).observations.tolist() for bank in (here, there)]
    assert found[0] == found[1]
    there.close()


def test_an_environment_must_repeat_itself_in_a_new_process() -> None:
    """It shows how many episodes its process has begun: 3 and 2 at first, and 1 and 2 in the new one."""
    bank, rows = spread(probe("Unrepeatable"), 1), np.arange(2)
    bank.start(rows, [1, 2])
    bank.start(rows[:1], [3])
    kill_one()
    with pytest.raises(RuntimeError, match="the environment does not repeat an episode from its seed and actions"):
        bank.step(rows, column(0, 0))
    assert children() == []


def test_an_ended_episode_is_not_replayed_in_a_new_process() -> None:
    bank, rows = spread(inspect("tests.probes:pgexp-probe/Unrepeatable-v0", 1), 1), np.arange(2)
    for row in (rows, rows[:1]):
        bank.start(row, [1] * len(row))
        assert bank.step(row, column(*row)).truncated.all()
    kill_one()
    assert bank.start(rows[:1], [1]).observations.tolist() == [[1.0]]
    bank.close()


def test_an_exception_in_building_the_bank_is_raised_here() -> None:
    bank = WorkerBank(Unbuildable(probe("Arms")), 2)
    with pytest.raises(ValueError, match="no bank"):
        bank.start(np.arange(2), [1, 2])
    assert children() == []


def test_an_exception_in_making_an_environment_is_raised_here() -> None:
    spec = probe("Arms")
    broken = EnvSpec(**{**vars(spec), "id": "tests.probes:pgexp-probe/Nobody-v0"})
    with pytest.raises(Exception, match="Nobody"):
        spread(broken, 1).start(np.arange(2), [1, 2])
    assert children() == []


def test_a_step_that_does_not_return_can_be_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(workers, "_SECONDS_TO_EXIT", 0.1)
    before = signal.signal(signal.SIGALRM, interrupt)
    bank = spread(probe("Failing", when=8, deed="hang"), 1)
    bank.start(np.arange(1), [8])
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    with pytest.raises(KeyboardInterrupt):
        bank.step(np.arange(1), column(0))
    signal.signal(signal.SIGALRM, before)
    assert children() == []


def test_no_worker_outlives_its_parent() -> None:
    code = """
import os, sys, numpy as np, psutil
from pgexp.envs.spec import inspect
bank = inspect("CartPole-v1", vectorization="async").bank(2)
bank.start(np.arange(2), [1, 2])
print(*[child.pid for child in psutil.Process().children()], flush=True)
sys.stdin.read()
"""
    command = [sys.executable, "-c", code]
    parent = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    born = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
    assert born
    parent.kill()
    parent.communicate()
    assert psutil.wait_procs(born, timeout=60)[1] == []


def test_a_worker_loads_neither_torch_nor_mlflow() -> None:
    code = "import sys, pgexp.envs.workers; print(*{'torch', 'mlflow', 'pandas', 'hydra'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.split() == []
