"""The film of a run: the first episode of its final evaluation, picture by picture."""

import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

from tests.conftest import Compose
from tests.execution.conftest import Train

FILM = "video/final-episode-0.mp4"


def played(path: Path) -> tuple[np.ndarray, str]:
    """Return a film's pictures, 32 x 32 and grey, and what the player says of it."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", path, "-f", "rawvideo", "-pix_fmt", "gray", "-"]
    done = subprocess.run(command, capture_output=True, check=True)
    return np.frombuffer(done.stdout, np.uint8).reshape(-1, 32, 32), done.stderr.decode()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_film_is_the_first_episode_of_the_final_evaluation(clock: Compose, experiment: Train, seed: int) -> None:
    trained = experiment(clock(f"seed={seed}", "+env.kwargs.length=0", "evaluation.video=true")).run()
    length = trained.experiment.outcomes[0].lengths[0]
    pictures, _ = played(trained.folders[0] / FILM)
    assert pictures.mean((1, 2)) == pytest.approx([32 * time for time in range(length + 1)], abs=4)


def test_a_film_has_the_environment_s_pace_and_plays_in_browsers(clock: Compose, experiment: Train) -> None:
    trained = experiment(clock("evaluation.video=true")).run()
    _, said = played(trained.folders[0] / FILM)
    assert ", 10 fps," in said
    assert "Video: h264" in said
    assert "yuv420p" in said


def test_only_runs_that_ask_for_a_film_are_filmed(clock: Compose, experiment: Train) -> None:
    trained = experiment(clock(), clock("seed=1", "evaluation.video=true")).run()
    assert [(folder / FILM).exists() for folder in trained.folders] == [False, True]


def test_filming_changes_no_number(clock: Compose, experiment: Train) -> None:
    filmed, unseen = experiment(clock("evaluation.video=true")).run(), experiment(clock()).run()
    (left,), (right,) = filmed.rows(0, "final/"), unseen.rows(0, "final/")
    assert left.metrics == right.metrics
