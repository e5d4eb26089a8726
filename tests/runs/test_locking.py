import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pgexp.runs.locking import LockedError, lock

HOLD = """
import sys
from pathlib import Path
from pgexp.runs.locking import lock

with lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def holder(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process that holds the lock until its standard input ends."""
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"held\n"
        try:
            yield process
        finally:
            process.kill()


def is_locked(path: Path) -> bool:
    """Return whether another process cannot get the lock."""
    done = subprocess.run([sys.executable, "-c", HOLD, str(path)], capture_output=True, text=True, input="")
    return "is in use by process" in done.stderr


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".lock"


def test_second_process_gets_the_holders_id(path: Path) -> None:
    with holder(path) as process, pytest.raises(LockedError) as caught, lock(path):
        pass
    assert caught.value.pid == process.pid
    assert str(caught.value) == f"{path.parent} is in use by process {process.pid}"


def test_lock_ends_with_a_killed_process(path: Path) -> None:
    with holder(path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        with lock(path):
            pass


def test_lock_ends_with_its_block(path: Path) -> None:
    with lock(path):
        pass
    with lock(path):
        assert is_locked(path)
    assert not is_locked(path)


def test_refusal_keeps_the_lock(path: Path) -> None:
    """POSIX releases a process's lock when the process closes any handle of the file."""
    with lock(path):
        with pytest.raises(LockedError, match=f"process {os.getpid()}$"), lock(path):
            pass
        assert is_locked(path)


def test_child_does_not_inherit_the_lock(path: Path) -> None:
    with lock(path):
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False)
    with child:
        assert not is_locked(path)
        child.kill()


def test_waiting_process_gets_the_lock(path: Path) -> None:
    with holder(path) as first:
        waiting = HOLD.replace("sys.argv[1])", "sys.argv[1]), wait=True")
        command = [sys.executable, "-c", waiting, str(path)]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as second:
            assert second.stdout
            assert first.stdin
            first.stdin.close()
            assert second.stdout.readline() == b"held\n"
    assert (first.returncode, second.returncode) == (0, 0)


@pytest.mark.parametrize("content", ["", "no number"])
def test_holder_without_an_id(path: Path, content: str) -> None:
    with holder(path):
        path.write_text(content)
        with pytest.raises(LockedError, match="is in use by another process") as caught, lock(path):
            pass
    assert caught.value.pid is None
