"""Video files of episodes: MP4 and GIF."""

import math
from collections.abc import Iterable
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pgexp.runs.files import replace_file

if TYPE_CHECKING:
    from PIL import Image

Frame = NDArray[np.uint8]  # [height, width, 3]

_MAX_FRAMES = 500  # of a GIF, which does not compress motion: a few megabytes
_MAX_WIDTH = 400  # pixels of a GIF
_MIN_SECONDS = 0.04  # per frame of a GIF; browsers slow down faster ones
_TICK = 0.01  # seconds: a GIF's unit of time


def write_video(path: Path, frames: Iterable[Frame], frames_per_second: float) -> None:
    """Write frames of shape [height, width, 3] as an MP4 for browsers (H.264, 4:2:0), and as a GIF with the same name.

    The GIF, for pages that show images only, is at most 400 pixels wide and has at most 500 frames, 25 per second. Of a
    longer or faster video it has every n-th frame. Needs the extra pgexp[video].
    """
    import imageio.v2 as imageio

    path.parent.mkdir(parents=True, exist_ok=True)
    sampled = _SampledFrames(math.ceil(_MIN_SECONDS * frames_per_second))
    writer = imageio.get_writer(path, fps=frames_per_second, codec="libx264", macro_block_size=2)
    with closing(writer):  # the writer's own context manager does not close it after an exception
        for frame in frames:
            writer.append_data(frame)
            sampled.add(frame)
    _write_gif(path.with_suffix(".gif"), sampled.images, sampled.stride / frames_per_second)


class _SampledFrames:
    """Every stride-th frame of a video; the stride is doubled when a GIF would have too many."""

    def __init__(self, stride: int) -> None:
        self.stride = stride
        self.images: list[Image.Image] = []
        self._count = 0

    def add(self, frame: Frame) -> None:
        from PIL import Image

        if self._count % self.stride == 0:
            image = Image.fromarray(frame)
            self.images.append(image.reduce(math.ceil(image.width / _MAX_WIDTH)))
        self._count += 1
        if len(self.images) > _MAX_FRAMES:
            self.images, self.stride = self.images[::2], 2 * self.stride


def _write_gif(path: Path, images: list["Image.Image"], seconds: float) -> None:
    """Write images that are shown for `seconds` each, rounded so that the total duration is right."""
    first, *others = images
    ends = [round(i * (seconds / _TICK)) for i in range(len(images) + 1)]
    durations = [1000 * _TICK * (end - start) for start, end in pairwise(ends)]
    with replace_file(path) as draft:
        first.save(draft, "GIF", save_all=True, append_images=others, duration=durations, loop=0)
