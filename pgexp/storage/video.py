"""Writes films of episodes."""

import math
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pgexp.storage.files import replacing

if TYPE_CHECKING:
    from PIL import Image

Frame = NDArray[np.uint8]  # [height, width, 3]

_MOST_FRAMES = 500  # of a GIF, which has no motion to compress: a few megabytes
_WIDEST = 400  # pixels of a GIF
_SHORTEST = 0.04  # seconds that a GIF shows a frame; browsers slow down what is much faster
_TICK = 0.01  # seconds: a GIF's unit of time


def write_video(path: Path, frames: Iterable[Frame], frames_per_second: float) -> None:
    """Write the frames, [height, width, 3] each, as an MP4 that browsers play (H.264, 4:2:0), and beside it as a GIF.

    Both have the episode's pace. The GIF, for pages that show pictures only, is at most 400 pixels wide and has at
    most 500 frames, 25 a second: of a longer or faster film it shows every second, third, ... one. Needs the extra
    pgexp[video].
    """
    import imageio.v2 as imageio

    path.parent.mkdir(parents=True, exist_ok=True)
    thinned = _Thinned(math.ceil(_SHORTEST * frames_per_second))
    made = imageio.get_writer(path, fps=frames_per_second, codec="libx264", macro_block_size=2)
    with closing(made) as writer:  # which its own context does not do after an exception
        for frame in frames:
            writer.append_data(frame)
            thinned.take(frame)
    _write_gif(path.with_suffix(".gif"), thinned.kept, thinned.stride / frames_per_second)


class _Thinned:
    """Every stride-th of frames that come one by one, as few of them as a GIF may have."""

    def __init__(self, stride: int) -> None:
        self.stride = stride
        self.kept: list[Image.Image] = []
        self._taken = 0

    def take(self, frame: Frame) -> None:
        """Keep a frame, if it is its turn, small; where there are too many, keep every second one."""
        from PIL import Image

        if self._taken % self.stride == 0:
            picture = Image.fromarray(frame)
            self.kept.append(picture.reduce(math.ceil(picture.width / _WIDEST)))
        self._taken += 1
        if len(self.kept) > _MOST_FRAMES:
            self.kept, self.stride = self.kept[::2], 2 * self.stride


def _write_gif(path: Path, pictures: list["Image.Image"], seconds: float) -> None:
    first, *others = pictures
    durations = [1000 * _TICK * ticks for ticks in _ticks(len(pictures), seconds / _TICK)]
    with replacing(path) as draft:
        first.save(draft, "GIF", save_all=True, append_images=others, duration=durations, loop=0)


def _ticks(count: int, each: float) -> Iterator[int]:
    """Yield whole numbers that stay as close as they can to so much each."""
    for i in range(count):
        yield round((i + 1) * each) - round(i * each)
