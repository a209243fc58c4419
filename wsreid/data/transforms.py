"""From a decoded image to a tensor: augmented for training, plain for scoring."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsreid.data.erasing import erase
from wsreid.data.jitter import ORDERS, jittered
from wsreid.data.seeding import stream
from wsreid.errors import ConfigError


@dataclass(frozen=True)
class AugmentSettings:
    """Augmentation of the training images.

    Args:
        pad: Black border in pixels, on each side, from which a crop of the original size is taken; 0 = no crop.
        flip: Probability of a horizontal flip.
        erasing: Probability of Random Erasing (area 2 to 40 %, aspect ratio 0.3 to 3.3).
        erasing_fill: What erasing fills with: ImageNet's mean colour, or random pixels.
        jitter: Strength of a colour jitter of brightness, contrast and saturation: factors between 1 - jitter and
            1 + jitter; 0 = none.

    Raises:
        ConfigError: A setting out of range.
    """

    pad: int = 10
    flip: float = 0.5
    erasing: float = 0.5
    erasing_fill: Literal["mean", "random"] = "mean"
    jitter: float = 0.0

    def __post_init__(self) -> None:
        if self.pad < 0:
            raise ConfigError(f"data.augment.pad must not be negative, got {self.pad}")
        for name in ("flip", "erasing", "jitter"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ConfigError(f"data.augment.{name} must be in 0..1, got {getattr(self, name)}")


class TrainTransform:
    """Resizes and augments; the randomness depends on nothing but (seed, epoch, row, view).

    Args:
        height: Height of the result in pixels.
        width: Width of the result in pixels.
        settings: What is augmented, and how often.
    """

    def __init__(self, height: int, width: int, settings: AugmentSettings) -> None:
        self.height, self.width = height, width
        self.settings = settings

    def __call__(
        self,
        image: NDArray[np.uint8],
        *,
        seed: int,
        epoch: int,
        row: int,
        view: int,
        out: NDArray[np.uint8] | None = None,
    ) -> Tensor:
        """Augments one image.

        Args:
            image: RGB, `(h, w, 3)` uint8.
            seed: Seed of the run.
            epoch: Epoch.
            row: The image's row in the manifest.
            view: Which of the image's views; each looks different.
            out: Where to write the result, contiguous `(3, H, W)` uint8; None = memory of its own.

        Returns:
            `(3, H, W)` uint8.
        """
        settings = self.settings
        rng = stream("augment", seed, epoch, row, view)
        # Each step has its own numbers, drawn whether it is on or off: turning one off leaves the others as they were.
        top, left, flip, erasing, order, *factors = rng.random(8).tolist()
        image = resized(image, self.height, self.width)  # (h, w, 3) -> (H, W, 3)
        if settings.pad:
            image = padded_crop(image, settings.pad, top, left)
        if flip < settings.flip:
            image = np.asarray(cv2.flip(image, 1), np.uint8)
        if settings.jitter:
            factors = [1 + settings.jitter * (2 * u - 1) for u in factors]
            image = jittered(image, factors, ORDERS[int(order * len(ORDERS))])
        planes = to_planes(image, out)  # (H, W, 3) -> (3, H, W)
        if erasing < settings.erasing:
            erase(planes, rng, settings.erasing_fill)
        return torch.from_numpy(planes)


class EvalTransform:
    """Resizes, and nothing else.

    Args:
        height: Height of the result in pixels.
        width: Width of the result in pixels.
    """

    def __init__(self, height: int, width: int) -> None:
        self.height, self.width = height, width

    def __call__(
        self,
        image: NDArray[np.uint8],
        *,
        seed: int = 0,
        epoch: int = 0,
        row: int = 0,
        view: int = 0,
        out: NDArray[np.uint8] | None = None,
    ) -> Tensor:
        """Resizes one image, whatever the keys.

        Args:
            image: RGB, `(h, w, 3)` uint8.
            seed: Not used.
            epoch: Not used.
            row: Not used.
            view: Not used.
            out: Where to write the result, contiguous `(3, H, W)` uint8; None = memory of its own.

        Returns:
            `(3, H, W)` uint8.
        """
        return torch.from_numpy(to_planes(resized(image, self.height, self.width), out))  # (h, w, 3) -> (3, H, W)


Transform = TrainTransform | EvalTransform


def resized(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """An image `(h, w, 3)` as `(height, width, 3)`, by bilinear interpolation."""
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def padded_crop(image: NDArray[np.uint8], pad: int, top: float, left: float) -> NDArray[np.uint8]:
    """A crop of the image's own size out of the image with a black border.

    Args:
        image: `(H, W, 3)` uint8.
        pad: Width of the border in pixels, on each side.
        top: Where the crop begins, in 0..1: 0 is the border's first row, 1 (exclusive) the last possible one.
        left: The same for columns.

    Returns:
        `(H, W, 3)` uint8, a view.
    """
    height, width = image.shape[:2]
    padded = cv2.copyMakeBorder(image, pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=(0, 0, 0))
    y, x = int(top * (2 * pad + 1)), int(left * (2 * pad + 1))
    return np.asarray(padded[y : y + height, x : x + width], np.uint8)


def to_planes(image: NDArray[np.uint8], out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
    """An `(H, W, 3)` image as a contiguous `(3, H, W)` array: `out`, or one of its own memory."""
    planes = np.empty((3, *image.shape[:2]), np.uint8) if out is None else out
    cv2.split(image, list(planes))  # writes into planes; three times as fast as NumPy's copy of the transposed view
    return planes
