"""Film of a run: the first episode of its final evaluation."""

import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

from tests.conftest import Compose
from tests.execution.conftest import Train

FILM = "video/final-episode-0.mp4"


def played(path: Path) -> tuple[np.ndarray, str]:
    """Return a film's pictures, 32 x 32 and grey, and the player's description of it."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", path, "-f", "rawvideo", "-pix_fmt", "gray", "-"]
    done = subprocess.run(command, capture_output=True, check=True)
    return np.frombuffer(done.stdout, np.uint8).reshape(-1, 32, 32), done.stderr.decode()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_film_is_the_first_episode_of_the_final_evaluation(clock: Compose, experiment: Train, seed: int) -> None:
    trained = experiment(clock(f"seed={seed}", "+env.kwargs.length=0", "evaluation.video=true")).run()
    assert trained.experiment.outcome is not None
    length = trained.experiment.outcome.lengths[0]
    pictures, _ = played(trained.folder / FILM)
    assert pictures.mean((1, 2)) == pytest.approx([32 * time for time in range(length + 1)], abs=4)


def test_a_film_has_the_environments_frame_rate_and_plays_in_browsers(clock: Compose, experiment: Train) -> None:
    trained = experiment(clock("evaluation.video=true")).run()
    _, said = played(trained.folder / FILM)
    assert ", 10 fps," in said
    assert "Video: h264" in said
    assert "yuv420p" in said


def test_a_run_is_filmed_only_on_request(clock: Compose, experiment: Train) -> None:
    assert not (experiment(clock()).run().folder / "video").exists()


def test_filming_changes_no_number(clock: Compose, experiment: Train) -> None:
    filmed, unseen = experiment(clock("evaluation.video=true")).run(), experiment(clock()).run()
    (left,), (right,) = filmed.rows("final/"), unseen.rows("final/")
    assert left.metrics == right.metrics
