"""Random Erasing as the re-identification literature uses it."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

AREA: Final = (0.02, 0.4)
"""Least and largest share of the image that is erased."""

RATIO: Final = (0.3, 3.3)
"""Least and largest height over width of the erased rectangle."""

MEAN_COLOUR: Final = (124, 116, 104)
"""ImageNet's mean in 0..255 RGB, the colour that Random Erasing fills with and that normalisation maps to about 0."""

_ATTEMPTS: Final = 100


def erase(image: NDArray[np.uint8], rng: np.random.Generator, fill: Literal["mean", "random"]) -> None:
    """Fills a random rectangle (Zhong et al., "Random Erasing Data Augmentation", arXiv:1708.04896, algorithm 1).

    Area and ratio are drawn uniformly, and drawn again until the rectangle fits. (Libraries that cap the area at what
    fits at every ratio instead stop at 15 % of a 256 x 128 image.)

    Args:
        image: `(3, H, W)` uint8; changed in place.
        rng: Source of randomness.
        fill: The colour of the rectangle: ImageNet's mean, or random pixels.
    """
    _, height, width = image.shape
    for _ in range(_ATTEMPTS):
        area, ratio, down, right = rng.random(4).tolist()
        area = (AREA[0] + area * (AREA[1] - AREA[0])) * height * width
        ratio = RATIO[0] + ratio * (RATIO[1] - RATIO[0])
        h, w = round((area * ratio) ** 0.5), round((area / ratio) ** 0.5)
        if 0 < h < height and 0 < w < width:
            top, left = int(down * (height - h + 1)), int(right * (width - w + 1))
            hole = image[:, top : top + h, left : left + w]
            if fill == "random":
                hole[:] = rng.integers(0, 256, hole.shape, np.uint8)
            else:
                for plane, value in zip(hole, MEAN_COLOUR, strict=True):
                    plane[:] = value
            return
