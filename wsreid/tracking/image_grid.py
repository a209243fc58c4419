"""Images in lines, each with a title: what notebooks and pages show of bags, lists and labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from wsreid.tracking.figure_files import DPI, WIDTH, new_figure

_TITLE: Final = 9
_LINE_OF_TEXT: Final = 0.17  # inches
_WIDEST: Final = 1.1  # inches of an image, so that two images are no posters


@dataclass(frozen=True, eq=False)
class TitledImage:
    """An image to show.

    Attributes:
        image: RGB, `(H, W, 3)` uint8.
        title: What stands above it.
        colour: Of title and frame; None = black, without a frame.
    """

    image: NDArray[np.uint8]
    title: str = ""
    colour: str | None = None


def image_grid(lines: Sequence[Sequence[TitledImage]], title: str = "") -> Figure:
    """Draws lines of images.

    Args:
        lines: The images of each line, left to right; lines may have different lengths.
        title: What stands above all.

    Returns:
        The figure.

    Raises:
        ValueError: There is no image.
    """
    columns = max((len(line) for line in lines), default=0)
    if columns == 0:
        raise ValueError("image_grid needs at least one image")
    cell = min(WIDTH / DPI / columns, _WIDEST)
    heights = [_heights(line, cell) for line in lines]
    head = 0.35 if title else 0.0
    width, height = max(cell * columns, 0.09 * len(title)), head + sum(text + picture for text, picture in heights)
    figure = new_figure(height)
    # The places are known: a layout engine would take ten times as long to find them.
    figure.set(figwidth=width, layout_engine="none")
    if title:
        figure.text(0.5, 1 - 0.08 / height, title, ha="center", va="top", fontsize=_TITLE + 2, parse_math=False)
    top = height - head
    for line, (text, picture) in zip(lines, heights, strict=True):
        top -= text + picture
        for at, shown in enumerate(line):
            place = (at + 0.05) * cell / width, (top + 0.03) / height, 0.9 * cell / width, (picture - 0.06) / height
            axis = figure.add_axes(place)
            axis.imshow(shown.image, aspect="equal", interpolation="antialiased")
            axis.set(xticks=[], yticks=[])
            axis.set_title(shown.title, fontsize=_TITLE, color=shown.colour or "black", pad=2, parse_math=False)
            for spine in axis.spines.values():
                spine.set(visible=shown.colour is not None, edgecolor=shown.colour, linewidth=3)
    return figure


def _heights(line: Sequence[TitledImage], cell: float) -> tuple[float, float]:
    """Inches of a line's titles and of its images."""
    tallest = max((shown.image.shape[0] / shown.image.shape[1] for shown in line), default=1.0)
    lines = max((shown.title.count("\n") + 1 for shown in line if shown.title), default=0)
    return _LINE_OF_TEXT * lines + 0.03, 0.9 * cell * min(tallest, 3.0) + 0.06
