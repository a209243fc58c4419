"""From a decoded image to a tensor: augmented for training, plain for scoring."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass
from typing import Final, Literal

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # else the import asks the network for a newer release

import albumentations as A
import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsreid.data.erasing import RandomErasing
from wsreid.data.seeding import stream
from wsreid.errors import ConfigError

MEAN_COLOUR: Final = (124, 116, 104)
"""ImageNet's mean in 0..255 RGB, the colour that Random Erasing fills with and that normalisation maps to about 0."""


@dataclass(frozen=True)
class AugmentSettings:
    """Augmentation of the training images.

    Args:
        pad: Black border in pixels, on each side, from which a crop of the original size is taken; 0 = no crop.
        flip: Probability of a horizontal flip.
        erasing: Probability of Random Erasing (area 2 to 40 %, aspect ratio 0.3 to 3.3).
        erasing_fill: What erasing fills with: ImageNet's mean colour, or random pixels.
        jitter: Strength of a colour jitter of brightness, contrast and saturation; 0 = none. It is slow.

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
        steps: list[object] = [A.Resize(height, width)]
        if settings.pad:
            steps += [A.Pad(settings.pad), A.RandomCrop(height, width)]
        steps.append(A.HorizontalFlip(p=settings.flip))
        if settings.jitter:
            low, high = 1 - settings.jitter, 1 + settings.jitter
            steps.append(A.ColorJitter((low, high), (low, high), (low, high), (0.0, 0.0), p=1.0))
        fill = MEAN_COLOUR if settings.erasing_fill == "mean" else settings.erasing_fill
        steps.append(RandomErasing(scale=(0.02, 0.4), ratio=(0.3, 3.3), fill=fill, p=settings.erasing))
        self._compose = A.Compose(steps)

    def __call__(self, image: NDArray[np.uint8], *, seed: int, epoch: int, row: int, view: int) -> Tensor:
        """Augments one image.

        Args:
            image: RGB, `(h, w, 3)` uint8.
            seed: Seed of the run.
            epoch: Epoch.
            row: The image's row in the manifest.
            view: Which of the image's views; each looks different.

        Returns:
            `(3, H, W)` uint8.
        """
        rng = stream("augment", seed, epoch, row, view)
        # One pair of generators for all steps: with a seed instead, albumentations gives each step the same stream,
        # and flip and erasing would always fire together.
        self._compose.set_random_state(rng, random.Random(int(rng.integers(2**63))))
        return to_tensor(self._compose(image=image)["image"])


class EvalTransform:
    """Resizes, and nothing else.

    Args:
        height: Height of the result in pixels.
        width: Width of the result in pixels.
    """

    def __init__(self, height: int, width: int) -> None:
        self.height, self.width = height, width

    def __call__(
        self, image: NDArray[np.uint8], *, seed: int = 0, epoch: int = 0, row: int = 0, view: int = 0
    ) -> Tensor:
        """Resizes one image, whatever the keys.

        Args:
            image: RGB, `(h, w, 3)` uint8.
            seed: Not used.
            epoch: Not used.
            row: Not used.
            view: Not used.

        Returns:
            `(3, H, W)` uint8.
        """
        resized = cv2.resize(image, (self.width, self.height), interpolation=cv2.INTER_LINEAR)
        return to_tensor(np.asarray(resized, np.uint8))


Transform = TrainTransform | EvalTransform


def to_tensor(image: NDArray[np.uint8]) -> Tensor:
    """An `(H, W, 3)` array as a `(3, H, W)` tensor of its own memory."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))  # (H, W, 3) -> (3, H, W)
