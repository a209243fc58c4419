"""A fine grid over each query's matches, by which all scores of a tile are placed at once. For the CPU."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from wsreid.retrieval.masks import at_least, numbered_places
from wsreid.retrieval.scratch import Scratch
from wsreid.retrieval.thresholds import Thresholds

CELLS = 32  # cells a match, within
FEWEST, MOST = 512, 16384  # cells between a query's lowest edge and its highest
BELOW = 0.5  # the cells go on below, by this share of them, so that
SPREAD = 64  # scores that pass nothing fall into many bins: adding to one and the same again and again is slow
AT_ONCE = 2**18  # scores worked on at once: they stay in the cache
SHORT = 2**15  # a table of numbers below it takes half the memory, and half the time

Longs = np.ndarray[tuple[int], np.dtype[np.int64]]
Whole = np.ndarray[tuple[int], np.dtype[np.signedinteger]]


@dataclass(frozen=True)
class Placed:
    """What a grid could tell.

    Attributes:
        tally: Entries by bin, `(M + R,)` long: a query with m matches has bins 0..m for scores that pass as many of
            them. Bin 0 lacks most of its own, which make no difference to any match.
        row: Rows of the unsure scores, `(n,)` long.
        column: Their columns, `(n,)` long.
        start: The bin in which each lies at least, `(n,)` long.
        score: The unsure scores, `(n,)`.
    """

    tally: Tensor
    row: Tensor
    column: Tensor
    start: Tensor
    score: Tensor


@dataclass(frozen=True)
class Span:
    """Neighbouring queries whose bins are counted from the first one's on: small numbers make a small table.

    Attributes:
        first: The first query.
        stop: The end.
        base: Its first bin among those of all queries.
        bins: Number of bins.
    """

    first: int
    stop: int
    base: int
    bins: int

    @property
    def unsure(self) -> int:
        """What is added to the bin of an unsure score; the numbers from `bins` up to it are for passing nothing."""
        return self.bins + SPREAD


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
        number = offset.diff()
        most = int(number.max())
        fine = FEWEST
        while fine < min(MOST, CELLS * most) and 2 * fine * (1 + BELOW) * self.rows * 4 <= memory:
            fine *= 2
        cells = self.cells = int(fine * (1 + BELOW))
        filled = number > 0
        low, high = torch.zeros((2, self.rows), dtype=lower.dtype, device=device)
        low[filled] = lower[offset[:-1][filled]]
        high[filled] = upper[offset[1:][filled] - 1]
        span = torch.where(high > low, high - low, 1.0)
        self.scale = ((fine - 4) / span)[:, None]
        self.low = (low - BELOW * fine / (fine - 4) * span)[:, None]
        self.bins = len(row) + self.rows
        short = 2 * (most + 1) + SPREAD <= SHORT
        self.spans = _spans(offset.numpy(), (SHORT - SPREAD) // 2 if short else self.bins)
        first, last = (self._cells(edge[:, None], row)[:, 0].numpy() for edge in (lower, upper))
        dtype = np.int16 if short else np.int32
        self.table = torch.from_numpy(self._table(row.numpy(), offset.numpy(), first, last, dtype))  # (R * cells,)
        self.first_cell = (cells * torch.arange(self.rows, device=device)).int()[:, None]  # (R, 1)

    def _table(self, row: Longs, offset: Longs, first: Whole, last: Whole, dtype: type[np.signedinteger]) -> Whole:
        """What each cell means, `(R * cells,)`: runs of equal numbers, by turns sure and unsure, m + 1 and m a query.

        Args:
            row: Query of each match, `(M,)`.
            offset: Where each query's matches begin, and the end, `(R + 1,)`.
            first: Cell of each lower edge, `(M,)`, ascending within a query.
            last: Cell of each upper edge, `(M,)`.
            dtype: Of the table.
        """
        rows = np.arange(self.rows)
        place = 2 * np.arange(len(row)) + row  # (M,) each match's sure run; its unsure one is the next
        end = 2 * offset[1:] + rows  # (R,) each query's last run: what passes all its matches
        base, unsure = (
            np.repeat([getattr(span, of) for span in self.spans], [span.stop - span.first for span in self.spans])
            for of in ("base", "unsure")
        )  # (R,)
        before = np.empty_like(last)  # the first cell behind the match before
        before[1:] = last[:-1] + 1
        before[offset[:-1][offset[:-1] < len(row)]] = 0
        run = np.zeros(2 * len(row) + self.rows, dtype=np.int64)
        begin = np.maximum(first, before)
        run[place], run[place + 1] = begin - before, last + 1 - begin
        run[end] = self.cells
        some = offset[1:] > offset[:-1]
        run[end[some]] -= last[offset[1:][some] - 1] + 1
        value = np.empty(len(run), dtype=dtype)
        value[place] = np.arange(len(row)) + row - base[row]
        value[place + 1] = value[place] + unsure[row]
        value[end] = offset[1:] + rows - base
        table = np.repeat(value, run)
        nothing = np.resize(np.arange(SPREAD, dtype=dtype), self.cells)
        for r, n in enumerate(run[2 * offset[:-1] + rows].tolist()):
            table[r * self.cells : r * self.cells + n] = nothing[:n] + dtype(unsure[r] - SPREAD)
        return table

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
        bins = scratch.take("bins", (step, columns), self.table.dtype)
        unsure = scratch.take("unsure", (step, columns), torch.bool)
        offsets = scratch.take("offset", (step, columns), scores.dtype)
        numbers = scratch.take("cells", (step, columns), torch.int32)
        tally = torch.zeros(self.bins, dtype=torch.int64, device=scores.device)
        found: list[tuple[Tensor, ...]] = []
        for span in self.spans:
            for a in range(span.first, span.stop, step):
                b = min(a + step, span.stop)
                offset, cells, part = offsets[: b - a], numbers[: b - a], bins[: b - a].view(-1)
                torch.sub(scores[a:b], self.low[a:b], out=offset)
                offset.mul_(self.scale[a:b]).clamp_(0, self.cells - 1)
                cells.copy_(offset)
                cells.add_(self.first_cell[a:b])
                torch.index_select(self.table, 0, cells.view(-1), out=part)
                weight = None if times is None else times.double().expand(b - a, -1).reshape(-1)
                counts = torch.bincount(part, weight, minlength=span.bins)[: span.bins]
                tally[span.base : span.base + span.bins] += counts.long()
                row, column, flat = numbered_places(at_least(bins[: b - a], span.unsure, out=unsure[: b - a]))
                start = part[flat].long() + (span.base - span.unsure)
                found.append((row + a, column, start, scores[a:b].view(-1)[flat]))
        return Placed(tally, *(torch.cat(parts) for parts in zip(*found, strict=True)))

    def _cells(self, scores: Tensor, rows: Tensor) -> Tensor:
        """Cell of each score, `(n, m)` with their queries `(n,)`, int32: the same steps as in `place`."""
        cells: Tensor = (scores - self.low[rows]).mul_(self.scale[rows]).clamp_(0, self.cells - 1).int()
        return cells


def _spans(offset: Longs, most: int) -> list[Span]:
    """Cuts the queries into spans of at most `most` bins each, a single query aside."""
    spans, first = [], 0
    ends = (offset + np.arange(len(offset))).tolist()  # bins of all queries before each
    for stop in range(1, len(ends)):
        if stop == len(ends) - 1 or ends[stop + 1] - ends[first] > most:
            spans.append(Span(first, stop, ends[first], ends[stop] - ends[first]))
            first = stop
    return spans
