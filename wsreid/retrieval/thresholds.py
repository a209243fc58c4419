"""The sorted scores of the matches, and where other scores fall among them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from torch import Tensor

RUN = 16  # scores of one query, one behind the other, that are worth a search of their own
STEPS = 4  # entries that a score is carried past one by one before it is searched for


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
        return Edges(_keys(row, high), floor, low, high, self.with_ends(low), self.with_ends(high))

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

    @cached_property
    def by_bin(self) -> Tensor:
        """The scores and, behind each query's, inf: `(M + R,)` float64. Bin b of them lies below entry b."""
        return self.with_ends(self.scores)

    @cached_property
    def below_bin(self) -> Tensor:
        """The score below each bin, `(M + R,)` float64; -inf = the query's first."""
        below = torch.cat([self.by_bin.new_full((1,), -torch.inf), self.by_bin[:-1]])
        return below.masked_fill_(below == torch.inf, -torch.inf)

    def with_ends(self, values: Tensor) -> Tensor:
        """Values of the scores, `(M,)`, with an inf behind each query's, `(M + R,)`."""
        row = self.row
        filled = values.new_full((len(row) + len(self.offset) - 1,), torch.inf)
        filled[torch.arange(len(row), device=row.device) + row] = values
        return filled

    def counts(self, passes: Tensor, ties: Tensor) -> tuple[Tensor, Tensor]:
        """What lies above each score and what ties with it.

        Args:
            passes: How many pass just the first a scores of a query, in its bin a, `(M + R,)` long.
            ties: +1 in the bin of the first score that something ties with, -1 in that behind the last, `(M + R,)`.

        Returns:
            Two `(M,)` long tensors.
        """
        row = self.row
        mine = torch.arange(len(row), device=row.device) + row  # (M,) bin of each match
        last = self.offset[1:][row] + row  # (M,) last bin of its query
        running = passes.cumsum(0)
        return running[last] - running[mine], ties.cumsum(0)[mine]

    def place_within(self, row: Tensor, score: Tensor, bound: Tensor | float, start: Tensor) -> tuple[Tensor, Tensor]:
        """Places scores that are known up to a bound.

        Args:
            row: Query of each score, `(n,)` long.
            score: `(n,)` float64.
            bound: How far each may lie from its exact score, `(n,)` or one number.
            start: A bin of the query at or below the score's, `(n,)` long; the nearer, the sooner it is done.

        Returns:
            Bin of the first entry that is not below the score, `(n,)` long, and whether the score may lie on the
            other side of an entry, `(n,)` bool.
        """
        found = _step_up(self.by_bin, start, score)
        rest = torch.nonzero(self.by_bin[found] < score).flatten()
        found[rest] = self._bisect(row[rest], score[rest], ties_go_on=False) + row[rest]
        return found, (self.by_bin[found] - score <= bound) | (score - self.below_bin[found] <= bound)

    def _bisect(self, row: Tensor, score: Tensor, *, ties_go_on: bool) -> Tensor:
        if row.device.type == "cpu":
            query, count = torch.unique_consecutive(row, return_counts=True)
            if len(row) >= RUN * len(query):  # one search a query takes a fifth of the time
                return self._search_runs(query, count, score, "right" if ties_go_on else "left")
        low, high = self.offset[row], self.offset[row + 1]
        last = max(len(self.scores) - 1, 0)
        for _ in range(int((high - low).max()).bit_length() if len(row) else 0):
            middle = (low + high) // 2
            entry = self.scores[middle.clamp(max=last)]
            right = (entry <= score if ties_go_on else entry < score) & (low < high)
            low, high = torch.where(right, middle + 1, low), torch.where(right, high, middle)
        return low

    def _search_runs(self, query: Tensor, count: Tensor, score: Tensor, side: Literal["left", "right"]) -> Tensor:
        """Places runs of scores `(n,)`, each of one query, `(r,)` long, and length, `(r,)` long: `(n,)` long."""
        entries, sought, offset = self.scores.numpy(), score.numpy(), self.offset.tolist()
        found, a = np.empty(len(sought), dtype=np.int64), 0
        for q, n in zip(query.tolist(), count.tolist(), strict=True):
            first = offset[q]
            found[a : a + n] = first + np.searchsorted(entries[first : offset[q + 1]], sought[a : a + n], side)
            a += n
        return torch.from_numpy(found)


@dataclass(frozen=True)
class Edges:
    """The thresholds widened by the error bound, as integers that sort by (query, float32 score).

    One sorted list of integers lets a single `searchsorted` serve queries with any number of matches.

    Attributes:
        high: Upper edges, `(M,)` long.
        floor: Each query's least lower edge, `(R,)` float32; below it a score passes no match. inf = no match.
        lower: Lower edges as they are, `(M,)` float32.
        upper: Upper edges as they are, `(M,)` float32.
        lower_by_bin: Lower edges, inf behind each query's, `(M + R,)` float32.
        upper_by_bin: Upper edges likewise.
    """

    high: Tensor
    floor: Tensor
    lower: Tensor
    upper: Tensor
    lower_by_bin: Tensor
    upper_by_bin: Tensor

    def place(self, row: Tensor, score: Tensor, start: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Places approximate scores: how many entries they surely pass, and whether the next one is in doubt.

        Args:
            row: Query of each score, `(n,)` long.
            score: `(n,)` float32.
            start: A bin of the query at or below the score's, `(n,)` long; None = not known.

        Returns:
            Bin of the first entry not surely passed, `(n,)` long, and the doubt, `(n,)` bool.
        """
        if start is None:
            found = self._search(row, score)
        else:
            found = _step_up(self.upper_by_bin, start, score)
            rest = torch.nonzero(self.upper_by_bin[found] < score).flatten()
            found[rest] = self._search(row[rest], score[rest])
        return found, self.lower_by_bin[found] <= score

    def _search(self, row: Tensor, score: Tensor) -> Tensor:
        return torch.searchsorted(self.high, _keys(row, score)) + row


def _step_up(entries: Tensor, start: Tensor, score: Tensor) -> Tensor:
    """Goes up from `start` `(n,)` while the entry lies below the score, a few steps at most: `(n,)` bins."""
    found = start.clone()
    left = torch.nonzero(entries[found] < score).flatten()
    for _ in range(STEPS):
        if not len(left):
            break
        found[left] += 1
        left = left[entries[found[left]] < score[left]]
    return found


def _keys(row: Tensor, score: Tensor) -> Tensor:
    """Integers that order as (row, score) does: the row above, the bits of the float32 below."""
    bits = (score + 0.0).view(torch.int32)  # + 0.0: -0 becomes 0
    ordered = bits ^ ((bits >> 31) & 0x7FFFFFFF)  # negative floats order backwards
    return (row << 32) + ordered.long() + (1 << 31)
