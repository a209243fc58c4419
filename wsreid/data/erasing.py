"""Random Erasing as the re-identification literature uses it."""

from __future__ import annotations

import os
from typing import Any, Final

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # else the import asks the network for a newer release

import albumentations as A
import numpy as np

_ATTEMPTS: Final = 100


class RandomErasing(A.Erasing):  # type: ignore[misc]  # albumentations carries no types
    """Fills a random rectangle (Zhong et al., "Random Erasing Data Augmentation", arXiv:1708.04896, algorithm 1).

    Area share and aspect ratio (height over width) are drawn uniformly, and drawn again until the rectangle fits.
    `albumentations.Erasing` instead caps the area at what fits at every aspect ratio, which on a 256 x 128 image is
    15 % of it whatever `scale` says.

    Args:
        scale: Least and largest share of the image's area.
        ratio: Least and largest height over width.
        fill: Colour of the rectangle, or `"random"` for random pixels.
        p: Probability of erasing.
    """

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """Draws the rectangle; called by albumentations."""
        height, width = params["shape"][:2]
        seed = int(self.random_generator.integers(0, 2**32 - 1))
        for _ in range(_ATTEMPTS):
            area = self.py_random.uniform(*self.scale) * height * width
            ratio = self.py_random.uniform(*self.ratio)
            h, w = round((area * ratio) ** 0.5), round((area / ratio) ** 0.5)
            if 0 < h < height and 0 < w < width:
                top, left = self.py_random.randint(0, height - h), self.py_random.randint(0, width - w)
                return {"holes": np.array([[left, top, left + w, top + h]], np.int32), "seed": seed}
        return {"holes": np.empty((0, 4), np.int32), "seed": seed}
