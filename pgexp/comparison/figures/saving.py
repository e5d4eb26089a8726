"""A figure's files: picture, drawings and numbers, the same bytes for the same numbers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pandas as pd
from matplotlib.figure import Figure

from pgexp.comparison.figures.style import Width, styled

NARROW: Final = "-narrow"
FORMATS: Final[dict[str, dict[str, Any]]] = {
    "png": {"dpi": 300},
    "svg": {"metadata": {"Date": None}},
    "pdf": {"metadata": {"CreationDate": None}},
}


def save(draw: Callable[[pd.DataFrame, Width], Figure], frame: pd.DataFrame, stem: Path) -> list[Path]:
    """Write the figure of a frame in both widths, and the frame beside it; return the files.

    stem.png, .svg and .pdf are two columns wide (6.9 inches), stem-narrow.* one (3.3 inches); stem.csv holds
    the numbers. No file holds a date, so that equal frames give equal bytes. The folder is made if need be.
    """
    stem.parent.mkdir(parents=True, exist_ok=True)
    widths: tuple[tuple[str, Width], ...] = (("", "two"), (NARROW, "one"))
    paths = []
    with styled():
        for suffix, width in widths:
            figure = draw(frame, width)
            figure.draw_without_rendering()
            figure.set_layout_engine("none")  # what is laid out once stays, in all formats
            for kind, options in FORMATS.items():
                paths.append(stem.with_name(f"{stem.name}{suffix}.{kind}"))
                figure.savefig(paths[-1], **options)
    data = stem.with_name(f"{stem.name}.csv")
    frame.to_csv(data, index=False)
    return [*paths, data]
