"""The gallery, tile by tile, in the form that the products take."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wsreid.retrieval.features import FeatureTable, Metric
from wsreid.retrieval.products import fits_float32
from wsreid.retrieval.scores import divide_rows, out_of_range, row_norms, row_sum, rows_at_once


@dataclass(frozen=True)
class Tile:
    """Some gallery rows.

    Attributes:
        index: Their rows in the table, `(n,)` long.
        rows: Their features in the stored type, `(n, D)`.
        norms: Their norms, `(n,)` float64.
        quick: The rows for the float32 product, `(n, D)`; None where float32 cannot hold them.
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
        """Whether all numbers are, and neither too large nor too small for exact scores."""
        return not bool(out_of_range(self.rows, self.norms).any())


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
        buffer: Memory for the quick rows, `(m, D)` float32 with m at least `stop - start`.

    Returns:
        The rows that count.
    """
    rows = table.slice(start, stop)
    index = torch.arange(start, stop, device=table.device)
    mine = known[start:stop]
    if not bool(mine.all()):
        rows, index = rows[mine], index[mine]
    if buffer is None:
        buffer = torch.empty(len(rows), table.width, device=table.device)
    quick = buffer[: len(rows)]
    if metric != "cosine":
        norms = row_norms(rows)
        return Tile(index, rows, norms, quick.copy_(rows) if fits_float32(norms) else None)
    norms = torch.empty(len(rows), dtype=torch.float64, device=table.device)
    step = rows_at_once(rows)
    for a in range(0, len(rows), step):  # piece by piece: a piece is still in the cache when it is divided
        part = slice(a, a + step)
        norms[part] = row_norms(rows[part])
        divide_rows(rows[part], norms[part], out=quick[part])
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
    code = torch.empty(len(rows), dtype=torch.float64, device=rows.device)
    step = rows_at_once(rows)
    for a in range(0, len(rows), step):  # equal rows have equal sums, others hardly ever
        code[a : a + step] = row_sum(rows[a : a + step].double() * weight)  # (n, D) -> (n,)
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
