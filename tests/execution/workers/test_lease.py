"""Lease of a command on a sweep folder."""

from pathlib import Path

from pgexp.execution.workers import lease


def test_the_last_command_that_acquires_it_holds_it(tmp_path: Path) -> None:
    assert not lease.is_held(tmp_path, "one")
    lease.acquire(tmp_path, "one")
    assert lease.is_held(tmp_path, "one")
    lease.acquire(tmp_path, "other")
    assert not lease.is_held(tmp_path, "one")
    assert lease.is_held(tmp_path, "other")


def test_a_released_lease_is_held_by_nobody(tmp_path: Path) -> None:
    lease.acquire(tmp_path, "one")
    for _ in range(2):  # a second time changes nothing
        lease.release(tmp_path)
        assert not lease.is_held(tmp_path, "one")
