"""A picture of a search: each image that was asked for, and beside it what was found."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import cv2
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from wsreid.tracking.answer import Answer, Hit
from wsreid.tracking.image_grid import TitledImage, image_grid

Image: TypeAlias = NDArray[np.uint8]
LINES: Final = 20
"""Images that are drawn with their hits, at most."""
IN_A_LINE: Final = 10
_TALLEST: Final = 256  # pixels of an image that is about a hundred high in the picture
_LETTERS: Final = 11  # that fit above an image
_QUERY, _GONE = "#404040", "#b0b0b0"


def answer_figure(
    answers: Sequence[Answer], query: Callable[[Answer], Image], gallery: Callable[[Hit], Image | None], title: str
) -> Figure:
    """Draws a line for each of the first answers: the image left, what was found right. One answer gets all its lines.

    Args:
        answers: At least one.
        query: RGB image of an answer, `(H, W, 3)` uint8.
        gallery: That of a hit; None = it is gone, and its place says so.
        title: What stands above.

    Returns:
        The figure.
    """
    lines: list[list[TitledImage]] = []
    for answer in answers[:LINES]:
        asked = small(query(answer))
        first = TitledImage(asked, "\n".join(textwrap.wrap(answer.image.name, _LETTERS)[:3]), _QUERY)
        blank = TitledImage(np.full_like(asked, 255))
        shown = answer.hits if len(answers) == 1 else answer.hits[:IN_A_LINE]
        for start in range(0, max(len(shown), 1), IN_A_LINE):
            hits = [_hit(hit, gallery(hit), asked.shape) for hit in shown[start : start + IN_A_LINE]]
            lines.append([blank if start else first, *hits])
    return image_grid(lines, title)


def small(image: Image) -> Image:
    """The image `(H, W, 3)`, made smaller where it is larger than a picture of it needs.

    Args:
        image: RGB.

    Returns:
        `(h, w, 3)` uint8, h at most 256.
    """
    height, width = image.shape[:2]
    if height <= _TALLEST:
        return image
    size = (max(1, round(width * _TALLEST / height)), _TALLEST)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)  # (H, W, 3) -> (h, w, 3)


def _hit(hit: Hit, image: Image | None, like: tuple[int, ...]) -> TitledImage:
    known = [hit.identity or "", "" if hit.camera is None else f"c{hit.camera}"]
    lines = [f"{hit.rank}: {hit.score:.3f}", (" ".join(known).strip() or f"row {hit.row}")[:_LETTERS]]
    if image is None:
        return TitledImage(np.full(like, 235, np.uint8), "\n".join([*lines, "no image"]), _GONE)
    return TitledImage(small(image), "\n".join(lines))
