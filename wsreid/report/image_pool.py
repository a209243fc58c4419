"""The images that a report shows, each once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsreid.data.datamodule import BagDataModule


@dataclass(eq=False)
class PooledImage:
    """An image that is shown somewhere.

    Attributes:
        data: What reads it.
        row: Its manifest row.
        place: The best place that it is shown at: 0 = a query or an image of a bag, k = rank k.
    """

    data: BagDataModule
    row: int
    place: int

    def read(self) -> NDArray[np.uint8]:
        """The image, RGB, `(H, W, 3)` uint8.

        Raises:
            UnreadableImage: It is not there any more.
        """
        return self.data.image(self.row)


class ImagePool:
    """Numbers the images in the order in which they are first asked for."""

    def __init__(self) -> None:
        self.images: list[PooledImage] = []
        self._number: dict[tuple[str, int], int] = {}

    def number(self, data: BagDataModule, row: int, place: int) -> int:
        """The number of an image; runs on the same data share it.

        Args:
            data: The data of a run.
            row: Manifest row.
            place: Where it is shown, see `PooledImage`.
        """
        key = (data.manifest.hash, row)
        if key not in self._number:
            self._number[key] = len(self.images)
            self.images.append(PooledImage(data, row, place))
        number = self._number[key]
        self.images[number].place = min(self.images[number].place, place)
        return number
