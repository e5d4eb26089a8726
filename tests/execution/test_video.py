"""Video of a run: the first episode of its final evaluation."""

import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

from tests.conftest import Compose
from tests.execution.conftest import Train

VIDEO = "video/final-episode-0.mp4"


def decode(path: Path) -> tuple[np.ndarray, str]:
    """Return the frames [T, 32, 32] of a video in grey, and FFmpeg's description of it."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", path, "-f", "rawvideo", "-pix_fmt", "gray", "-"]
    done = subprocess.run(command, capture_output=True, check=True)
    return np.frombuffer(done.stdout, np.uint8).reshape(-1, 32, 32), done.stderr.decode()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_it_shows_the_first_episode_of_the_final_evaluation(clock: Compose, experiment: Train, seed: int) -> None:
    trained = experiment(clock(f"seed={seed}", "+env.kwargs.length=0", "evaluation.video=true")).run()
    assert trained.experiment.final_evaluation is not None
    length = trained.experiment.final_evaluation.lengths[0]
    frames, _ = decode(trained.folder / VIDEO)
    assert frames.mean((1, 2)) == pytest.approx([32 * time for time in range(length + 1)], abs=4)


def test_its_frame_rate_and_codec(clock: Compose, experiment: Train) -> None:
    trained = experiment(clock("evaluation.video=true")).run()
    _, description = decode(trained.folder / VIDEO)
    assert ", 10 fps," in description
    assert "Video: h264" in description
    assert "yuv420p" in description


def test_it_is_made_on_request_only(clock: Compose, experiment: Train) -> None:
    assert not (experiment(clock()).run().folder / "video").exists()


def test_it_changes_no_number(clock: Compose, experiment: Train) -> None:
    filmed, unseen = experiment(clock("evaluation.video=true")).run(), experiment(clock()).run()
    (left,), (right,) = filmed.rows("final/"), unseen.rows("final/")
    assert left.metrics == right.metrics
