"""Batches of rows to score, in order."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler


class EvalSampler(Sampler[NDArray[np.int64]]):
    """Cuts rows into batches; each rank gets a contiguous part.

    All parts are equally long, so all ranks do the same number of steps: where the number of ranks does not divide
    that of the rows, the parts overlap, and the metric must drop the repeated rows.

    Args:
        rows: Manifest rows, `(N,)`.
        batch_size: Most rows in a batch.
        rank: Which process this is.
        world_size: Number of processes.
    """

    def __init__(self, rows: NDArray[np.int64], batch_size: int, rank: int = 0, world_size: int = 1) -> None:
        share = -(-len(rows) // world_size)
        start = min(rank * share, len(rows) - share)
        self.rows = rows[start : start + share]
        self.batch_size = batch_size

    def __len__(self) -> int:
        """Batches of one rank."""
        return -(-len(self.rows) // self.batch_size)

    def __iter__(self) -> Iterator[NDArray[np.int64]]:
        """Yields this rank's batches."""
        for start in range(0, len(self.rows), self.batch_size):
            yield self.rows[start : start + self.batch_size]
