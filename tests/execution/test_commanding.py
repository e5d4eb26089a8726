"""Whom workers train for: the command whose token stands in the record's folder."""

from pathlib import Path

from pgexp.execution import commanding


def test_the_workers_of_the_command_that_took_over_last_are_to_train(tmp_path: Path) -> None:
    assert not commanding.is_in_command(tmp_path, "one")
    commanding.take_over(tmp_path, "one")
    assert commanding.is_in_command(tmp_path, "one")
    commanding.take_over(tmp_path, "other")
    assert not commanding.is_in_command(tmp_path, "one")
    assert commanding.is_in_command(tmp_path, "other")


def test_nobody_s_workers_train_once_they_are_dismissed(tmp_path: Path) -> None:
    commanding.take_over(tmp_path, "one")
    for _ in range(2):  # a second time changes nothing
        commanding.dismiss(tmp_path)
        assert not commanding.is_in_command(tmp_path, "one")
