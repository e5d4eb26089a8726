"""The time limit of a test: it ends a wait for a process, and leaves no timer."""

import signal
import subprocess
import sys

import pytest

from tests.conftest import time_limit


def test_a_wait_for_a_process_ends_at_the_time_limit() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        with pytest.raises(pytest.fail.Exception, match=r"has not ended after 0\.1 seconds"), time_limit(0.1):
            process.wait()
        process.kill()


def test_every_test_has_a_time_limit() -> None:
    seconds, _ = signal.getitimer(signal.ITIMER_REAL)
    assert seconds > 0


def test_a_limit_within_a_limit_restores_the_outer_one() -> None:
    with time_limit(10.0):
        assert signal.getitimer(signal.ITIMER_REAL)[0] <= 10
    assert signal.getitimer(signal.ITIMER_REAL)[0] > 10
