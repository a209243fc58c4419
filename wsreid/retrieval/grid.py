"""A fine grid over each query's matches, by which all scores of a tile are placed at once. For the CPU."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wsreid.retrieval.masks import at_least, true_places
from wsreid.retrieval.scratch import Scratch
from wsreid.retrieval.thresholds import Thresholds

CELLS = 32  # cells a match, within
FEWEST, MOST = 512, 16384  # cells between a query's lowest edge and its highest
BELOW = 0.5  # the cells go on below, by this share of them, so that
SPREAD = 64  # scores that pass nothing fall into many bins: adding to one and the same again and again is slow
AT_ONCE = 2**19  # scores worked on at once: they stay in the cache


@dataclass(frozen=True)
class Placed:
    """What a grid could tell.

    Attributes:
        tally: Entries by bin, `(M + R,)` long: a query with m matches has bins 0..m for scores that pass as many of
            them. Bin 0 lacks most of its own, which make no difference to any match.
        row: Rows of the unsure scores, `(n,)` long.
        column: Their columns, `(n,)` long.
        start: The bin in which each lies at least, `(n,)` long.
    """

    tally: Tensor
    row: Tensor
    column: Tensor
    start: Tensor


class Grid:
    """Tells for each score how many of its query's matches it passes, or that this cannot be told.

    The span of a query's edges is cut into equal cells. Cell number is a monotone function of the score, rounding
    included, so that scores in cells below that of an edge lie below the edge, and those above it above. Cells from
    that of a match's lower edge to that of its upper one are unsure; all others lie between two matches.

    Args:
        thresholds: The matches of R queries.
        lower: Lower edge of each match, `(M,)` float32 or float64: the type of the scores.
        upper: Upper edge of each match, `(M,)`.
        memory: Bytes that the table may take.
    """

    def __init__(self, thresholds: Thresholds, lower: Tensor, upper: Tensor, memory: int) -> None:
        self.rows, device = len(thresholds.offset) - 1, lower.device
        row, offset = thresholds.row, thresholds.offset
        most = int(offset.diff().max())
        fine = FEWEST
        while fine < min(MOST, CELLS * most) and 2 * fine * (1 + BELOW) * self.rows * 4 <= memory:
            fine *= 2
        cells = self.cells = int(fine * (1 + BELOW))
        filled = offset.diff() > 0
        low, high = torch.zeros((2, self.rows), dtype=lower.dtype, device=device)
        low[filled] = lower[offset[:-1][filled]]
        high[filled] = upper[offset[1:][filled] - 1]
        span = torch.where(high > low, high - low, 1.0)
        self.scale = ((fine - 4) / span)[:, None]
        self.low = (low - BELOW * fine / (fine - 4) * span)[:, None]
        first, last = (self._cells(edge[:, None], row)[:, 0].long() for edge in (lower, upper))
        steps = torch.zeros(self.rows, cells + 1, dtype=torch.int32, device=device)
        flat, one = steps.view(-1), torch.ones(len(row), dtype=torch.int32, device=device)
        flat.index_add_(0, row * (cells + 1) + first, one)
        flat.index_add_(0, row * (cells + 1) + last + 1, -one)
        unsure = steps.cumsum(1, dtype=torch.int32)[:, :cells] > 0  # (R, cells)
        flat.zero_()
        flat.index_add_(0, row * (cells + 1) + last + 1, one)
        passed = steps.cumsum(1, dtype=torch.int32)[:, :cells]  # (R, cells) matches surely passed
        del steps, flat
        self.bins = len(row) + self.rows
        table = passed + (offset[:-1] + torch.arange(self.rows, device=device)).int()[:, None]
        nothing = self.bins + torch.arange(cells, dtype=torch.int32, device=device) % SPREAD
        self.unsure = self.bins + SPREAD  # from here on: unsure, and the bin it is at least
        table = torch.where(unsure, table + self.unsure, torch.where(passed == 0, nothing, table))
        self.table = table.view(-1)  # (R * cells,)
        self.first_cell = (cells * torch.arange(self.rows, device=device)).int()[:, None]  # (R, 1)

    def place(self, scores: Tensor, scratch: Scratch, times: Tensor | None = None) -> Placed:
        """Places the scores of a tile.

        Args:
            scores: `(R, m)` of the edges' type.
            scratch: Working memory.
            times: How often each column counts, `(m,)` long; None = once.

        Returns:
            The entries by bin, and the scores that are unsure.
        """
        columns = scores.shape[1]
        step = max(1, AT_ONCE // max(1, columns))
        bins = scratch.take("bins", (self.rows, columns), torch.int32)
        unsure = scratch.take("unsure", (self.rows, columns), torch.bool)
        offsets = scratch.take("offset", (step, columns), scores.dtype)
        numbers = scratch.take("cells", (step, columns), torch.int32)
        for a in range(0, self.rows, step):
            b = min(a + step, self.rows)
            offset, cells = offsets[: b - a], numbers[: b - a]
            torch.sub(scores[a:b], self.low[a:b], out=offset)
            offset.mul_(self.scale[a:b]).clamp_(0, self.cells - 1)
            cells.copy_(offset)
            cells.add_(self.first_cell[a:b])
            torch.index_select(self.table, 0, cells.view(-1), out=bins[a:b].view(-1))
            at_least(bins[a:b], self.unsure, out=unsure[a:b])
        weight = None if times is None else times.double().expand(self.rows, -1).reshape(-1)
        tally = torch.bincount(bins.view(-1), weight, minlength=self.bins)[: self.bins].long()
        row, column = true_places(unsure)
        return Placed(tally, row, column, bins[row, column].long() - self.unsure)

    def _cells(self, scores: Tensor, rows: Tensor) -> Tensor:
        """Cell of each score, `(n, m)` with their queries `(n,)`, int32: the same steps as in `place`."""
        cells: Tensor = (scores - self.low[rows]).mul_(self.scale[rows]).clamp_(0, self.cells - 1).int()
        return cells
