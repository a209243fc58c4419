"""Batches of images of one camera each."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from wsreid.data.seeding import stream


class CameraSampler(Sampler[NDArray[np.int64]]):
    """Plans batches that hold the images of one camera, drawn by seed.

    The plan does not depend on the order of the rows nor on the number of processes, which take its batches in turns.
    Batches of a camera are equally large to within one image, so none is left with a single image of many.

    Args:
        rows: Manifest rows, `(N,)`.
        cameras: Their cameras, `(N,)`; rows whose camera is unknown (negative) are left out.
        batch_size: Most rows in a batch.
        limit: Most images of a camera; None = all.
        seed: Seed of the draw.
        rank: Which process this is.
        world_size: Number of processes.
    """

    def __init__(
        self,
        rows: NDArray[np.int64],
        cameras: NDArray[np.integer],
        batch_size: int,
        limit: int | None = None,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        batches: list[NDArray[np.int64]] = []
        for camera in np.unique(cameras[cameras >= 0]).tolist():
            own = np.unique(rows[cameras == camera])
            drawn = stream("camera statistics", seed, camera).permutation(own)[:limit]
            batches += np.array_split(drawn, -(-len(drawn) // batch_size))
        self.batches = batches[rank::world_size]

    def __len__(self) -> int:
        """Batches of one rank."""
        return len(self.batches)

    def __iter__(self) -> Iterator[NDArray[np.int64]]:
        """Yields this rank's batches."""
        yield from self.batches
