"""A fine grid over each query's matches, by which all scores of a tile are placed at once."""

from __future__ import annotations

import torch
from torch import Tensor

from wsreid.retrieval.masks import count_true, true_places
from wsreid.retrieval.scores import in_threads
from wsreid.retrieval.thresholds import Thresholds

FEWEST, MOST = 1024, 32768


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
        rows, device = len(thresholds.offset) - 1, lower.device
        row, offset = thresholds.row, thresholds.offset
        most = int(offset.diff().max())
        cells = FEWEST
        while cells < min(MOST, 32 * most) and 2 * cells * rows * 4 <= memory:
            cells *= 2
        self.cells = cells
        self.bins = len(lower) + rows
        filled = offset.diff() > 0
        low, high = torch.full((2, rows), torch.inf, dtype=lower.dtype, device=device)
        low[filled] = lower[offset[:-1][filled]]
        high[filled] = upper[offset[1:][filled] - 1]
        span = torch.where(filled & (high > low), high - low, 1.0)
        self.low = torch.where(filled, low, 0.0)
        self.scale = (cells - 3) / span  # cell 0 lies below all edges, the last above
        first, last = (self._cells(edge, self.low[row], self.scale[row]).long() for edge in (lower, upper))
        steps = torch.zeros(rows, cells + 1, dtype=torch.int32, device=device)
        one = torch.ones(len(row), dtype=torch.int32, device=device)
        flat = steps.view(-1)
        flat.index_add_(0, row * (cells + 1) + first, one)
        flat.index_add_(0, row * (cells + 1) + last + 1, -one)
        unsure = steps.cumsum(1, dtype=torch.int32)[:, :cells] > 0  # (R, cells)
        flat.zero_()
        flat.index_add_(0, row * (cells + 1) + last + 1, one)
        passed = steps.cumsum(1, dtype=torch.int32)[:, :cells]  # (R, cells) matches surely passed
        bins = passed + (offset[:-1] + torch.arange(rows, device=device)).int()[:, None]
        bins[unsure] = self.bins  # a bin of their own
        self.table = bins.view(-1)

    def place(
        self, scores: Tensor, rows: Tensor, most: float, times: Tensor | None = None
    ) -> tuple[Tensor | None, tuple[Tensor, Tensor]]:
        """Places the scores of a tile.

        Args:
            scores: `(q, m)` of the edges' type, m a multiple of 8; -inf = none.
            rows: The query of each row, `(q,)` long.
            most: Share of unsure scores from which the work is not worth while.
            times: How often each column counts, `(m,)` long; None = once.

        Returns:
            Entries by bin, `(M + R,)` long, each query with one bin more than matches; None if more than the share
            `most` are unsure. And rows and columns of the unsure ones, `(n,)` long each.
        """
        cells = self._cells(scores, self.low[rows][:, None], self.scale[rows][:, None])  # (q, m)
        cells += (rows.int() * self.cells)[:, None]
        bins = torch.index_select(self.table, 0, cells.view(-1)).view(scores.shape)
        unsure = bins == self.bins
        if count_true(unsure) > most * scores.numel():
            return None, (rows[:0], rows[:0])
        total = torch.zeros(self.bins + 1, dtype=torch.int64, device=scores.device)
        step = max(1, -(-len(rows) // torch.get_num_threads())) if scores.device.type == "cpu" else len(rows)
        tallies: list[Tensor] = []

        def tally(start: int) -> None:
            mine = bins[start : start + step]
            weight = None if times is None else times.double().expand(len(mine), -1).reshape(-1)
            tallies.append(torch.bincount(mine.view(-1), weight, minlength=self.bins + 1))

        in_threads(tally, range(0, len(rows), step))
        for one in tallies:
            total += one.long()
        return total[: self.bins], true_places(unsure)

    def _cells(self, scores: Tensor, low: Tensor, scale: Tensor) -> Tensor:
        return (scores - low).mul_(scale).add_(1.0).clamp_(0, self.cells - 1).int()
