import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pgexp.storage.locking import BlockedError, held

HOLD = """
import sys
from pathlib import Path
from pgexp.storage.locking import held

with held(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def holder(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process, which holds the lock until its standard input ends."""
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"held\n"
        try:
            yield process
        finally:
            process.kill()


def refused(path: Path) -> bool:
    """Return whether another process can't have the lock."""
    done = subprocess.run([sys.executable, "-c", HOLD, str(path)], capture_output=True, text=True, input="")
    return "is in use by process" in done.stderr


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".lock"


def test_a_second_process_is_refused_and_told_which_one_holds_the_folder(path: Path) -> None:
    with holder(path) as process, pytest.raises(BlockedError) as caught, held(path):
        pass
    assert caught.value.pid == process.pid
    assert str(caught.value) == f"{path.parent} is in use by process {process.pid}"


def test_a_lock_ends_with_its_process_however_that_ends(path: Path) -> None:
    with holder(path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        with held(path):
            pass


def test_a_lock_ends_with_its_block(path: Path) -> None:
    with held(path):
        pass
    with held(path):
        assert refused(path)
    assert not refused(path)


def test_to_be_refused_frees_nothing(path: Path) -> None:
    """POSIX frees a process's lock when the process closes any handle of the file."""
    with held(path):
        with pytest.raises(BlockedError, match=f"process {os.getpid()}$"), held(path):
            pass
        assert refused(path)


def test_a_child_process_does_not_keep_its_parent_s_lock(path: Path) -> None:
    with held(path):
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False)
    with child:
        assert not refused(path)
        child.kill()


def test_a_lock_that_is_waited_for_is_had_when_its_holder_is_gone(path: Path) -> None:
    with holder(path) as first:
        waiting = HOLD.replace("sys.argv[1])", "sys.argv[1]), wait=True")
        command = [sys.executable, "-c", waiting, str(path)]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as second:
            assert second.stdout
            assert first.stdin
            first.stdin.close()
            assert second.stdout.readline() == b"held\n"
    assert (first.returncode, second.returncode) == (0, 0)


@pytest.mark.parametrize("written", ["", "no number"])
def test_a_holder_that_has_not_written_its_id_is_another_process(path: Path, written: str) -> None:
    with holder(path):
        path.write_text(written)
        with pytest.raises(BlockedError, match="is in use by another process") as caught, held(path):
            pass
    assert caught.value.pid is None
