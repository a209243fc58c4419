"""Saving a figure as PNG and SVG."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Final

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from wsreid.data.cache import write_atomically

WIDTH: Final = 1000
"""Pixels of a PNG picture from left to right."""
DPI: Final = 100


def new_figure(height: float) -> Figure:
    """An empty figure, `WIDTH` pixels wide, which belongs to no window system.

    Args:
        height: In inches, `DPI` pixels each.

    Returns:
        The figure.
    """
    figure = Figure(figsize=(WIDTH / DPI, height), dpi=DPI, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, folder: Path, name: str, colours: int | None = None) -> tuple[Path, Path]:
    """Writes a figure as `NAME.png` and `NAME.svg`, each whole or not at all; the same figure gives the same bytes.

    Args:
        figure: What is drawn.
        folder: Is made if it is missing. Files of these names are replaced.
        name: Without ending.
        colours: Keep at most so many colours in the PNG file, 2 to 256: photographs then take a quarter of the bytes.
            None = all.

    Returns:
        The two files.

    Raises:
        DataError: The folder cannot be written to.
        OSError: The disk is full.
    """
    png, svg = folder / f"{name}.png", folder / f"{name}.svg"
    # Without these an SVG file holds the time and random names.
    with mpl.rc_context({"svg.hashsalt": "wsreid"}):
        write_atomically(png, lambda partial: _write_png(figure, partial, colours))
        write_atomically(svg, lambda partial: figure.savefig(partial, format="svg", metadata={"Date": None}))
    return png, svg


def pixels(figure: Figure) -> NDArray[np.uint8]:
    """A figure as an RGB image, `(H, W, 3)` uint8."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    with Image.open(buffer) as picture:
        return np.asarray(picture.convert("RGB"), np.uint8)


def _write_png(figure: Figure, path: Path, colours: int | None) -> None:
    if colours is None:
        figure.savefig(path, format="png", metadata={"Software": None})
        return
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    with Image.open(buffer) as picture:
        picture.convert("RGB").quantize(colours).save(path, format="png", optimize=True)
