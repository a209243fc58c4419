"""Colour jitter: brightness, contrast and saturation changed a little, in any order."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

ORDERS: Final = tuple(permutations(("brightness", "contrast", "saturation")))
"""The six orders in which the three changes can follow each other."""

_VALUES: Final = np.arange(256, dtype=np.float32)


def jittered(image: NDArray[np.uint8], factors: Sequence[float], order: Sequence[str]) -> NDArray[np.uint8]:
    """Changes brightness, contrast and saturation; each result is rounded and clipped to 0..255.

    A factor blends the image (1) with black, with the mean of its grey values, or with its grey image (0), as
    torchvision's ColorJitter does.

    Args:
        image: RGB, `(H, W, 3)` uint8.
        factors: Of brightness, contrast and saturation; each at least 0.
        order: The names of the three changes, first to last.

    Returns:
        RGB, `(H, W, 3)` uint8.
    """
    brightness, contrast, saturation = factors
    for change in order:
        if change == "brightness":
            image = _mapped(image, brightness * _VALUES)
        elif change == "contrast":
            mean = float(cv2.mean(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))[0])
            image = _mapped(image, contrast * _VALUES + (1 - contrast) * mean)
        else:
            grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
            image = np.asarray(cv2.addWeighted(image, saturation, grey, 1 - saturation, 0), np.uint8)
    return image


def _mapped(image: NDArray[np.uint8], table: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.asarray(cv2.LUT(image, np.rint(table).clip(0, 255).astype(np.uint8)), np.uint8)
