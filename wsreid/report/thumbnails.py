"""Small JPEG pictures as base64 text, as many and as large as a budget allows."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from wsreid.data.images import UnreadableImage

Image = NDArray[np.uint8]
Read = Callable[[], Image]

SIZES: Final = ((128, 75), (112, 70), (96, 65), (80, 60), (64, 50), (48, 45))
"""Height in pixels and JPEG quality, the best first."""
_SAMPLE: Final = 100


@dataclass(frozen=True)
class Thumbnails:
    """Encoded images.

    Attributes:
        texts: Base64 of a JPEG for each image; None = not there.
        height: Their height in pixels.
        unreadable: Images that could not be read.
        left_out: Images that were left out to keep within the budget.
    """

    texts: tuple[str | None, ...]
    height: int
    unreadable: int
    left_out: int


def thumbnails(
    images: Sequence[Read], places: Sequence[int], budget: int, step: Callable[[], None] = lambda: None
) -> Thumbnails:
    """Encodes images in the best size at which all of them fit.

    Where they do not fit in the smallest, those at the worst places are left out.

    Args:
        images: What reads each of them; raises UnreadableImage where it is not there any more.
        places: How important each is, 0 = most.
        budget: Characters for all of them.
        step: Is called after each image.

    Returns:
        The thumbnails, in the order of the images.
    """
    height, quality = _size(images, budget)
    texts: list[str | None] = []
    for read in images:
        texts.append(_text(read, height, quality))
        step()
    unreadable = texts.count(None)
    total = sum(len(text) for text in texts if text is not None)
    dropped = 0
    for number in sorted(range(len(images)), key=lambda i: (-places[i], -i)):
        if total <= budget:
            break
        text = texts[number]
        if text is not None:
            total, dropped = total - len(text), dropped + 1
            texts[number] = None
    return Thumbnails(tuple(texts), height, unreadable, dropped)


def _size(images: Sequence[Read], budget: int) -> tuple[int, int]:
    """The best size at which a sample says that all fit."""
    some = images[:: max(1, len(images) // _SAMPLE)]
    for height, quality in SIZES:
        lengths = [len(text) for read in some if (text := _text(read, height, quality)) is not None]
        if sum(lengths) / max(1, len(some)) * len(images) <= 0.95 * budget:  # the others may be a little larger
            return height, quality
    return SIZES[-1]


def _text(read: Read, height: int, quality: int) -> str | None:
    try:
        image = read()
    except UnreadableImage:
        return None
    scale = height / max(image.shape[:2])
    if scale < 1:
        size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)  # (H, W, 3) -> (h, w, 3)
    # tables of its own take a third off so small a file
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
    _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    return base64.b64encode(data.tobytes()).decode("ascii")
