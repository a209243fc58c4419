"""The sorted scores of the matches, and where other scores fall among them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Thresholds:
    """Scores of the matches of R queries, all in one list: query by query, ascending within a query.

    Attributes:
        scores: `(M,)` float64.
        offset: Where each query's scores begin, and the end, `(R + 1,)` long.
    """

    scores: Tensor
    offset: Tensor

    @property
    def row(self) -> Tensor:
        """The query of each score, `(M,)` long."""
        count = self.offset.diff()
        return torch.repeat_interleave(torch.arange(len(count), device=count.device), count)

    @property
    def least(self) -> Tensor:
        """Each query's least score, `(R,)` float64; inf = no match."""
        least = torch.full((len(self.offset) - 1,), torch.inf, dtype=torch.float64, device=self.scores.device)
        filled = self.offset.diff() > 0
        least[filled] = self.scores[self.offset[:-1][filled]]
        return least

    def part(self, start: int, stop: int) -> Thresholds:
        """Those of the queries `start` to `stop`."""
        bounds = self.offset[start : stop + 1]
        return Thresholds(self.scores[int(bounds[0]) : int(bounds[-1])], bounds - bounds[0])

    def edges(self, bound: float) -> Edges:
        """The zone around each score in which a score known up to `bound` decides nothing."""
        row = self.row
        # float64 -> float32 rounds to nearest: one step outwards makes up for it
        low = torch.nextafter((self.scores - bound).float(), torch.tensor(-torch.inf, device=row.device))
        high = torch.nextafter((self.scores + bound).float(), torch.tensor(torch.inf, device=row.device))
        floor = torch.full((len(self.offset) - 1,), torch.inf, device=row.device)
        filled = self.offset.diff() > 0
        floor[filled] = low[self.offset[:-1][filled]]
        beyond = torch.tensor([torch.iinfo(torch.int64).max], device=row.device)
        return Edges(torch.cat([_keys(row, low), beyond]), _keys(row, high), floor, low, high)

    def place(self, row: Tensor, score: Tensor) -> tuple[Tensor, Tensor]:
        """Finds exact scores in their query's list.

        Args:
            row: Query of each score, `(n,)` long.
            score: `(n,)` float64.

        Returns:
            Index of the first entry that is not below the score, and of the first above it, each `(n,)` long, as
            indices of `scores`; between them lie the ties.
        """
        return self._bisect(row, score, ties_go_on=False), self._bisect(row, score, ties_go_on=True)

    def place_within(self, row: Tensor, score: Tensor, bound: float) -> tuple[Tensor, Tensor]:
        """Places scores that are known up to a bound.

        Args:
            row: Query of each score, `(n,)` long.
            score: `(n,)` float64.
            bound: How far it may lie from the exact score.

        Returns:
            Index of the first entry that is not below the score, `(n,)` long, and whether the score may lie on the
            other side of an entry, `(n,)` bool.
        """
        passed = self._bisect(row, score, ties_go_on=False)
        last = max(len(self.scores) - 1, 0)
        above = torch.where(passed < self.offset[row + 1], self.scores[passed.clamp(max=last)], torch.inf)
        below = torch.where(passed > self.offset[row], self.scores[(passed - 1).clamp(min=0)], -torch.inf)
        return passed, (above - score <= bound) | (score - below <= bound)

    def _bisect(self, row: Tensor, score: Tensor, *, ties_go_on: bool) -> Tensor:
        low, high = self.offset[row], self.offset[row + 1]
        last = max(len(self.scores) - 1, 0)
        for _ in range(int((high - low).max()).bit_length() if len(row) else 0):
            middle = (low + high) // 2
            entry = self.scores[middle.clamp(max=last)]
            right = (entry <= score if ties_go_on else entry < score) & (low < high)
            low, high = torch.where(right, middle + 1, low), torch.where(right, high, middle)
        return low


@dataclass(frozen=True)
class Edges:
    """The thresholds widened by the error bound, as integers that sort by (query, float32 score).

    One sorted list of integers lets a single `searchsorted` serve queries with any number of matches.

    Attributes:
        low: Lower edges and a last entry beyond all, `(M + 1,)` long.
        high: Upper edges, `(M,)` long.
        floor: Each query's least lower edge, `(R,)` float32; below it a score passes no match. inf = no match.
        lower: Lower edges as they are, `(M,)` float32.
        upper: Upper edges as they are, `(M,)` float32.
    """

    low: Tensor
    high: Tensor
    floor: Tensor
    lower: Tensor
    upper: Tensor

    def place(self, row: Tensor, score: Tensor) -> tuple[Tensor, Tensor]:
        """Places approximate scores: how many entries they surely pass, and whether the next one is in doubt.

        Args:
            row: Query of each score, `(n,)` long.
            score: `(n,)` float32.

        Returns:
            Index of the first entry not surely passed, `(n,)` long, and the doubt, `(n,)` bool.
        """
        key = _keys(row, score)
        passed = torch.searchsorted(self.high, key)
        return passed, self.low[passed] <= key


def _keys(row: Tensor, score: Tensor) -> Tensor:
    """Integers that order as (row, score) does: the row above, the bits of the float32 below."""
    bits = (score + 0.0).view(torch.int32)  # + 0.0: -0 becomes 0
    ordered = bits ^ ((bits >> 31) & 0x7FFFFFFF)  # negative floats order backwards
    return (row << 32) + ordered.long() + (1 << 31)
