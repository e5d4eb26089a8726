"""Videos: frames of the GIF, and the pace of both files."""

import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image, ImageSequence

from pgexp.runs.video import write_video


def bright(time: int, width: int = 40, height: int = 20) -> np.ndarray:
    """Return a frame whose brightness is the time, in steps that a palette can distinguish."""
    return np.full((height, width, 3), time % 250, dtype=np.uint8)


def write(folder: Path, frames: list[np.ndarray], frames_per_second: float) -> Path:
    write_video(folder / "video.mp4", frames, frames_per_second)
    return folder / "video.mp4"


def gif_frames(path: Path) -> list[tuple[int, int]]:
    """Return the brightness and the milliseconds of each frame of a GIF."""
    with Image.open(path.with_suffix(".gif")) as gif:
        return [
            (int(np.asarray(picture.convert("L"))[0, 0]), picture.info["duration"])
            for picture in ImageSequence.Iterator(gif)
        ]


def test_gif_has_the_pace_of_the_environment(tmp_path: Path) -> None:
    path = write(tmp_path, [bright(time) for time in range(12)], 10)
    assert gif_frames(path) == [(time, 100) for time in range(12)]


def test_gif_has_at_most_25_frames_per_second(tmp_path: Path) -> None:
    path = write(tmp_path, [bright(time) for time in range(20)], 50)
    assert gif_frames(path) == [(time, 40) for time in range(0, 20, 2)]


def test_durations_are_rounded_without_drift(tmp_path: Path) -> None:
    # Every second one of 30 frames per second is shown, for 6 2/3 ticks of a hundredth of a second.
    path = write(tmp_path, [bright(time) for time in range(60)], 30)
    durations = [duration for _, duration in gif_frames(path)]
    assert set(durations) == {60, 70}
    assert sum(durations) == 2_000


@pytest.mark.slow
@pytest.mark.parametrize(("frames", "stride"), [(500, 1), (501, 2), (1_000, 2), (1_001, 4)])
def test_gif_of_a_long_video_is_subsampled_evenly(tmp_path: Path, frames: int, stride: int) -> None:
    path = write(tmp_path, [bright(time, 8, 8) for time in range(frames)], 20)
    assert gif_frames(path) == [(time % 250, 50 * stride) for time in range(0, frames, stride)]


def test_gif_is_scaled_by_averaging(tmp_path: Path) -> None:
    wide = bright(200, 600, 300)
    wide[151] = 0
    path = write(tmp_path, [wide], 10)
    with Image.open(path.with_suffix(".gif")) as gif:
        picture = np.asarray(gif.convert("L"))
    assert picture.shape == (150, 300)
    assert int(picture[75, 0]) == pytest.approx(100, abs=2)  # half of the pixel is the line


def test_mp4_has_all_frames(tmp_path: Path) -> None:
    path = write(tmp_path, [bright(10 * time, 41, 21) for time in range(25)], 50)
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", path, "-f", "rawvideo", "-pix_fmt", "gray", "-"]
    done = subprocess.run(command, capture_output=True, check=True)
    pictures = np.frombuffer(done.stdout, np.uint8).reshape(-1, 42 * 22)  # H.264 needs even sizes
    assert pictures.mean(1) == pytest.approx([10 * time for time in range(25)], abs=4)
    assert ", 50 fps," in done.stderr.decode()
    assert "Video: h264" in done.stderr.decode()
