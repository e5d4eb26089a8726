"""Films: what a GIF shows of an episode, and that both films have its pace."""

import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image, ImageSequence

from pgexp.storage.video import write_video


def bright(time: int, width: int = 40, height: int = 20) -> np.ndarray:
    """Return a picture that tells the time by its brightness, in steps that a palette tells apart."""
    return np.full((height, width, 3), time % 250, dtype=np.uint8)


def film(folder: Path, frames: list[np.ndarray], frames_per_second: float) -> Path:
    write_video(folder / "film.mp4", frames, frames_per_second)
    return folder / "film.mp4"


def shown(path: Path) -> list[tuple[int, int]]:
    """Return the brightness of each of a GIF's pictures, and its milliseconds."""
    with Image.open(path.with_suffix(".gif")) as gif:
        return [
            (int(np.asarray(picture.convert("L"))[0, 0]), picture.info["duration"])
            for picture in ImageSequence.Iterator(gif)
        ]


def test_a_gif_shows_each_picture_at_the_environment_s_pace(tmp_path: Path) -> None:
    path = film(tmp_path, [bright(time) for time in range(12)], 10)
    assert shown(path) == [(time, 100) for time in range(12)]


def test_a_gif_of_a_fast_film_shows_25_pictures_a_second(tmp_path: Path) -> None:
    path = film(tmp_path, [bright(time) for time in range(20)], 50)
    assert shown(path) == [(time, 40) for time in range(0, 20, 2)]


def test_what_is_no_whole_number_of_ticks_keeps_the_pace_on_average(tmp_path: Path) -> None:
    # Of 30 pictures a second every second one is shown, for 6 2/3 ticks of a hundredth of a second.
    path = film(tmp_path, [bright(time) for time in range(60)], 30)
    durations = [duration for _, duration in shown(path)]
    assert set(durations) == {60, 70}
    assert sum(durations) == 2_000


@pytest.mark.slow
@pytest.mark.parametrize(("frames", "stride"), [(500, 1), (501, 2), (1_000, 2), (1_001, 4)])
def test_a_gif_of_a_long_film_leaves_pictures_out_evenly(tmp_path: Path, frames: int, stride: int) -> None:
    path = film(tmp_path, [bright(time, 8, 8) for time in range(frames)], 20)
    assert shown(path) == [(time % 250, 50 * stride) for time in range(0, frames, stride)]


def test_a_gif_is_at_most_400_wide_and_loses_no_thin_line(tmp_path: Path) -> None:
    wide = bright(200, 600, 300)
    wide[151] = 0
    path = film(tmp_path, [wide], 10)
    with Image.open(path.with_suffix(".gif")) as gif:
        picture = np.asarray(gif.convert("L"))
    assert picture.shape == (150, 300)
    assert int(picture[75, 0]) == pytest.approx(100, abs=2)  # half of it is the line


def test_a_film_shows_all_pictures_whatever_their_size(tmp_path: Path) -> None:
    path = film(tmp_path, [bright(10 * time, 41, 21) for time in range(25)], 50)
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", path, "-f", "rawvideo", "-pix_fmt", "gray", "-"]
    done = subprocess.run(command, capture_output=True, check=True)
    pictures = np.frombuffer(done.stdout, np.uint8).reshape(-1, 42 * 22)  # H.264 wants even sizes
    assert pictures.mean(1) == pytest.approx([10 * time for time in range(25)], abs=4)
    assert ", 50 fps," in done.stderr.decode()
    assert "Video: h264" in done.stderr.decode()
