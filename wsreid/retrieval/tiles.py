"""The gallery, tile by tile, in the form that the products take."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wsreid.retrieval.features import FeatureTable, Metric
from wsreid.retrieval.products import fits_float32
from wsreid.retrieval.scores import LARGEST, divide_rows, row_norms, row_sum

LANES = 8  # columns come in eights, so that eight comparisons can be looked at as one integer


@dataclass(frozen=True)
class Tile:
    """Some gallery rows.

    Attributes:
        index: Their rows in the table, `(n,)` long.
        rows: Their features in the stored type, `(n, D)`.
        norms: Their norms, `(n,)` float64.
        quick: The rows for the float32 product, `(m, D)` with m >= n a multiple of 8, zeros behind n; None where
            float32 cannot hold them.
    """

    index: Tensor
    rows: Tensor
    norms: Tensor
    quick: Tensor | None

    @property
    def longest(self) -> float:
        """Greatest norm."""
        return float(self.norms.max())

    @property
    def finite(self) -> bool:
        """Whether all numbers are, and small enough to be squared."""
        return bool((self.norms <= LARGEST).all())


def read_tile(
    table: FeatureTable, start: int, stop: int, known: Tensor, metric: Metric, buffer: Tensor | None = None
) -> Tile:
    """Reads rows `start` to `stop` of a table.

    Args:
        table: The gallery.
        start: First row.
        stop: End.
        known: Which rows of the table count, `(G,)` bool.
        metric: The similarity; under `cosine` the quick rows are divided by their norms.
        buffer: Memory for the quick rows, `(m, D)` float32 with m at least `stop - start` rounded up to eights.

    Returns:
        The rows that count.
    """
    rows = table.slice(start, stop)
    index = torch.arange(start, stop, device=table.device)
    mine = known[start:stop]
    if not bool(mine.all()):
        rows, index = rows[mine], index[mine]
    norms = row_norms(rows)
    count = len(rows)
    padded = -(-count // LANES) * LANES
    if metric != "cosine" and not fits_float32(norms):
        return Tile(index, rows, norms, None)
    if buffer is None:
        buffer = torch.empty(padded, table.width, device=table.device)
    quick = buffer[:padded]
    if metric == "cosine":
        divide_rows(rows, norms, out=quick[:count])
    else:
        quick[:count].copy_(rows)
    quick[count:] = 0
    return Tile(index, rows, norms, quick)


def distinct_rows(tile: Tile) -> tuple[Tensor, Tensor]:
    """Finds duplicated rows, so that a collapsed network need not be scored pair by pair.

    Args:
        tile: n rows.

    Returns:
        Places of the rows that differ from one another, `(m,)` long, and how often each is there, `(m,)` long.
    """
    rows = tile.rows
    weight = torch.arange(1, rows.shape[1] + 1, dtype=torch.float64, device=rows.device).sqrt()
    code = row_sum(rows.double() * weight)  # (n, D) -> (n,) equal rows have equal sums, others hardly ever
    ordered, order = torch.sort(code, stable=True)
    new = torch.ones_like(order, dtype=torch.bool)
    new[1:] = ordered[1:] != ordered[:-1]
    leader = order[torch.nonzero(new).flatten()][new.cumsum(0) - 1]  # (n,) first row of the same sum
    follower, leader = order[~new], leader[~new]
    first = torch.arange(len(rows), device=rows.device)
    if len(follower):
        same = (rows[follower] == rows[leader]).all(dim=1)  # (f, D) -> (f,)
        first[follower[same]] = leader[same]
    different, times = torch.unique(first, return_counts=True)
    return different, times
