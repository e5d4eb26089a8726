"""Slots in worker processes equal those in this one, bit for bit; what goes wrong there is told here; none stays."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from pgexp.envs.slots import GymnasiumSlots, Slots

import tests.probes  # noqa: F401 - registers the probes
from pgexp.envs import worker
from pgexp.envs.spec import EnvSpec, inspect
from pgexp.envs.workers import WorkerSlots
from pgexp.schema.streams import integer
from tests.playing import Act, along, force, play, tumble

ROOT = Path(__file__).parents[2]


def spread(spec: EnvSpec, number: int) -> WorkerSlots:
    return WorkerSlots(Bank(spec), number)


class Bank:
    """Builds a bank of a spec's slots, here or in a worker."""

    def __init__(self, spec: EnvSpec) -> None:
        self.spec = spec

    def __call__(self) -> Slots:
        return GymnasiumSlots(self.spec.make, self.spec.spaces)


def children() -> list[psutil.Process]:
    """Return the workers of this process, among whatever else it has started."""
    return [child for child in psutil.Process().children(recursive=True) if worker.__name__ in child.cmdline()]


def probe(name: str, **kwargs: Any) -> EnvSpec:
    return inspect(f"tests.probes:pgexp-probe/{name}-v0", None, kwargs)


def diary(observations: Any, time: int) -> Any:
    """Take an action that the observation decides."""
    return (observations[:, 1] + time).astype(np.int64) % 4


@pytest.mark.parametrize(
    ("spec", "act"),
    [
        (inspect("CartPole-v1"), tumble),
        (inspect("Acrobot-v1", 60), along(4)),
        (inspect("Pendulum-v1", 60), force(2.0, np.float32)),
        (probe("Diary"), diary),
    ],
    ids=lambda value: getattr(value, "id", None),
)
def test_episodes_are_equal_in_every_bit_however_many_workers_there_are(spec: EnvSpec, act: Act) -> None:
    seeds = [integer(3, "env", slot) for slot in range(20)]
    here = play(Bank(spec)(), seeds, act)
    for number in (1, 3):
        there = spread(spec, number)
        assert play(there, seeds, act) == here
        there.close()


def test_rows_come_back_in_the_order_they_were_asked_in() -> None:
    found = []
    spec, rows = probe("Diary", longest=99), np.arange(5)
    for slots in (Bank(spec)(), spread(spec, 2)):
        begun = slots.start(rows, [60, 61, 62, 63, 64])
        again = slots.start(rows[[3, 0]], [70, 71])
        step = slots.step(rows[[4, 0, 3]], np.array([1, 2, 3]))
        none = *slots.start(rows[:0], []), *slots.step(rows[:0], np.zeros(0, dtype=np.int64))
        found.append([begun.observations.tolist(), again.observations.tolist(), *(part.tolist() for part in step[:4])])
        assert [len(part) for part in none] == [0] * 7
        slots.close()
    assert found[0] == found[1]


def test_the_three_kinds_of_slots_play_the_same_episodes() -> None:
    seeds = [integer(3, "env", slot) for slot in range(6)]
    played = []
    for vectorization in ("auto", "native", "sync", "async"):
        slots = inspect("CartPole-v1", vectorization=vectorization).slots(6)
        played.append(play(slots, seeds, tumble))
        slots.close()
    assert played == played[:1] * 4


def test_there_are_as_many_workers_as_cores_and_at_most_one_a_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    for count, expected in ((1, 1), (5, 3)):
        slots = inspect("CartPole-v1", vectorization="async").slots(count)
        assert children() == []  # until they are needed
        slots.start(np.arange(count), list(range(count)))
        assert len(children()) == expected
        slots.close()
        assert children() == []


def test_each_worker_holds_its_share_of_the_rows() -> None:
    slots, rows = spread(probe("Place"), 3), np.arange(7)
    found = slots.start(rows, list(range(7))).observations[:, 0].tolist()
    assert {int(pid) for pid in found} == {child.pid for child in children()}
    assert found == (found[:3] * 3)[:7]
    assert slots.start(rows[::-1], list(range(7))).observations[:, 0].tolist() == found[::-1]
    slots.close()


@pytest.mark.parametrize(
    ("deed", "kind", "text"),
    [
        ("ValueError", ValueError, "the motor is stuck"),
        ("EOFError", EOFError, "the motor is stuck"),
        ("StubbornError", RuntimeError, "StubbornError: the motor is stuck"),
        ("SystemExit", RuntimeError, "the environment calls for the program's end: SystemExit('the motor is stuck')"),
        ("exit", RuntimeError, "a worker process of the environments ended with code 3"),
    ],
)
def test_an_environment_that_fails_fails_its_own_row(deed: str, kind: type[Exception], text: str) -> None:
    """Row 3 fails, at its first step and again in an episode after it; the others play as if it had not."""
    seeds = [5, 6, 12, 8]
    sound, slots, rows = Bank(probe("Failing"))(), spread(probe("Failing", when=8, deed=deed), 2), np.arange(4)
    for begun in (sound.start(rows, seeds), slots.start(rows, seeds)):
        assert not begun.failures
    for live in (rows, rows[[0, 2]], rows[[1, 2]]):
        expected, step = (bank.step(live, live) for bank in (sound, slots))
        others = live != 3
        assert [part[others].tolist() for part in step[:4]] == [part[others].tolist() for part in expected[:4]]
        assert list(step.failures) == ([3] if 3 in live else [])
        for error in step.failures.values():
            assert isinstance(error, kind)
            assert str(error) == text
            if deed != "exit":
                assert "in reward" in "".join(error.__notes__)  # where it was raised
    assert not slots.start(rows[3:], [9]).failures
    assert slots.start(rows[3:], [8]).failures == {}
    assert list(slots.step(rows[3:], rows[3:]).failures) == [3]
    slots.close()
    assert children() == []


def kill_one() -> None:
    """Kill the worker that was started first."""
    child = children()[0]
    child.kill()
    child.wait()


@pytest.mark.parametrize("number", [1, 2])
def test_episodes_go_on_in_a_new_process_where_one_was_killed(number: int) -> None:
    """Five rows walk, each start again where their walk ends, and workers are killed twice, once amid all episodes."""
    spec, rows, seeds = probe("Walk"), np.arange(5), iter(range(100))
    here, there = Bank(spec)(), spread(spec, number)
    begun = [bank.start(rows, list(range(5))).observations.tolist() for bank in (here, there)]
    assert begun[0] == begun[1]
    for time in range(40):
        actions = (rows + time + time // 3) % 2
        expected, step = here.step(rows, actions), there.step(rows, actions)
        assert [part.tolist() for part in step[:4]] == [part.tolist() for part in expected[:4]]
        assert not step.failures
        ended = rows[step.terminated]
        drawn = [next(seeds) for _ in ended]
        again = [bank.start(ended, drawn).observations.tolist() for bank in (here, there)]
        assert again[0] == again[1]
        if time in (3, 21):
            kill_one()
    there.close()
    assert children() == []


def test_an_environment_that_does_not_repeat_itself_in_a_new_process_fails_its_row() -> None:
    """It shows how many episodes its process has begun: 3 and 2 at first, and 1 and 2 in the new one."""
    slots, rows = spread(probe("Unrepeatable"), 1), np.arange(2)
    slots.start(rows, [1, 2])
    slots.start(rows[:1], [3])
    kill_one()
    step = slots.step(rows, np.zeros(2, dtype=np.int64))
    assert sorted(step.failures) == [0, 1]
    assert "did not play an episode again as before" in str(step.failures[1])
    slots.close()


def test_an_episode_that_has_ended_is_not_played_again_in_a_new_process() -> None:
    slots, rows = spread(inspect("tests.probes:pgexp-probe/Unrepeatable-v0", 1), 1), np.arange(2)
    for row in (rows, rows[:1]):
        slots.start(row, [1] * len(row))
        assert slots.step(row, row).truncated.all()
    kill_one()
    assert not slots.start(rows[:1], [1]).failures
    slots.close()


class Unbuildable(Bank):
    """Builds no bank."""

    def __call__(self) -> Slots:
        raise ValueError("no bank")


def test_a_bank_that_a_worker_cannot_build_is_everybody_s_error() -> None:
    slots = WorkerSlots(Unbuildable(probe("Arms")), 2)
    with pytest.raises(ValueError, match="no bank"):
        slots.start(np.arange(2), [1, 2])
    assert children() == []


def test_an_environment_that_a_worker_cannot_make_fails_its_rows() -> None:
    spec = probe("Arms")
    broken = EnvSpec(**{**vars(spec), "id": "tests.probes:pgexp-probe/Nobody-v0"})
    slots = spread(broken, 1)
    begun = slots.start(np.arange(2), [1, 2])
    assert [*begun.failures] == [0, 1]
    assert "Nobody" in str(begun.failures[0])
    slots.close()
    assert children() == []


def test_a_step_that_does_not_come_back_can_be_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(worker, "_PATIENCE", 0.1)
    before = signal.signal(signal.SIGALRM, interrupt)
    slots = spread(probe("Failing", when=8, deed="hang"), 1)
    slots.start(np.arange(1), [8])
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    with pytest.raises(KeyboardInterrupt):
        slots.step(np.arange(1), np.array([0]))
    signal.signal(signal.SIGALRM, before)
    assert children() == []


def test_no_worker_outlives_its_parent() -> None:
    code = """
import os, sys, numpy as np, psutil
from pgexp.envs.spec import inspect
slots = inspect("CartPole-v1", vectorization="async").slots(2)
slots.start(np.arange(2), [1, 2])
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
    code = "import sys, pgexp.envs.worker; print(*{'torch', 'mlflow', 'pandas', 'hydra'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.split() == []
