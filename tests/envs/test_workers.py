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

import tests.probes  # noqa: F401 - registers the probes
from pgexp.envs import workers
from pgexp.envs.slots import GymnasiumSlots, Slots
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
    return [child for child in psutil.Process().children(recursive=True) if workers.__name__ in child.cmdline()]


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
        none = slots.start(rows[:0], []), *slots.step(rows[:0], np.zeros(0, dtype=np.int64))
        found.append([begun.tolist(), again.tolist(), *(part.tolist() for part in step)])
        assert [len(part) for part in none] == [0] * 5
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
    found = slots.start(rows, list(range(7)))[:, 0].tolist()
    assert {int(pid) for pid in found} == {child.pid for child in children()}
    assert found == (found[:3] * 3)[:7]
    assert slots.start(rows[::-1], list(range(7)))[:, 0].tolist() == found[::-1]
    slots.close()


@pytest.mark.parametrize(
    ("deed", "kind", "text"),
    [
        ("ValueError", ValueError, "the motor is stuck"),
        ("EOFError", EOFError, "the motor is stuck"),
        ("StubbornError", RuntimeError, "StubbornError: the motor is stuck"),
        ("exit", RuntimeError, "a worker process of the environments ended with code 3"),
    ],
)
def test_what_an_environment_raises_reaches_the_caller_and_the_workers_end(
    deed: str, kind: type[Exception], text: str
) -> None:
    slots, rows = spread(probe("Failing", when=8, deed=deed), 2), np.arange(4)
    slots.start(rows, [5, 6, 7, 8])
    with pytest.raises(kind) as caught:
        slots.step(rows, np.zeros(4, dtype=np.int64))
    assert str(caught.value) == text
    assert children() == []
    if deed != "exit":
        assert "in reward" in "".join(caught.value.__notes__)  # where it was raised
    slots.close()


def test_an_environment_that_a_worker_cannot_make_is_told() -> None:
    spec = probe("Arms")
    broken = EnvSpec(**{**vars(spec), "id": "tests.probes:pgexp-probe/Nobody-v0"})
    slots = spread(broken, 1)
    with pytest.raises(Exception, match="Nobody"):
        slots.start(np.arange(1), [1])
    assert children() == []


def test_a_step_that_does_not_come_back_can_be_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(workers, "_PATIENCE", 0.1)
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
    code = "import sys, pgexp.envs.workers; print(*{'torch', 'mlflow', 'pandas', 'hydra'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.split() == []
