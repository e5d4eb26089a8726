"""Writes films of episodes."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def write_video(path: Path, frames: Iterable[NDArray[np.uint8]], frames_per_second: float) -> None:
    """Write the frames, [height, width, 3] each, as an MP4 that browsers play (H.264, 4:2:0).

    Needs the extra pgexp[video].
    """
    import imageio.v2 as imageio

    path.parent.mkdir(parents=True, exist_ok=True)
    with imageio.get_writer(path, fps=frames_per_second, codec="libx264", macro_block_size=2) as writer:
        for frame in frames:
            writer.append_data(frame)  # type: ignore[attr-defined]  # imageio's writers have it
