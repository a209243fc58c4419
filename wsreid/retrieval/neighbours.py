"""The k nearest rows of each row, and its farthest one, without an N x N matrix.

A float32 product proposes candidates. Whatever lies nearer together than its error bound allows is settled by exact
distances; rows that stay open take a float64 product, and what that leaves open is sorted in full.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from wsreid.retrieval.distances import GRID, Distances, Part
from wsreid.retrieval.precision import full_float32

SPARE = 8  # neighbours kept beyond the k: their distance proves that nothing nearer was dropped
FAR = 4  # of the farthest
Lists = np.ndarray[tuple[int, int], np.dtype[np.int64]]


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Sorted lists.

    Attributes:
        index: Nearest first, equal distances by place, `(n, k)` int64: places in the list of columns.
        farthest: The greatest d of each row to any column, `(n,)` float64, on the grid.
    """

    index: Lists
    farthest: np.ndarray[tuple[int], np.dtype[np.float64]]


def nearest(distances: Distances, rows: Tensor, columns: Tensor | None, k: int) -> Neighbours:
    """Finds the k nearest columns of each row; the order is that of (d, place), whatever the tiles.

    Args:
        distances: The table and its distance.
        rows: Rows of the table, `(n,)` long.
        columns: The rows of the table to choose from, `(m,)` long. None: those of `rows`; then each row heads its own
            list at distance 0, even a row of zeros under `cosine`, and a tile serves both its sides.
        k: Length of the lists, at most m.

    Returns:
        The lists.
    """
    n = len(rows)
    result = Neighbours(np.empty((n, k), dtype=np.int64), np.empty(n))
    open_ = torch.arange(n, device=rows.device)
    own = open_ if columns is None else None
    columns = rows if columns is None else columns
    for dtype in (torch.float32, torch.float64):
        mine = own[open_] if own is not None else None
        search = _Search(distances, rows[open_], columns, mine, k, dtype)
        open_ = open_[search.settle(result, open_)]
        if len(open_) == 0:
            return result
    _in_full(distances, rows, columns, own, open_, result)
    return result


class _Least:
    """The least values of each row, of tiles that go by."""

    def __init__(self, rows: int, keep: int, like: Tensor) -> None:
        self.keep = keep
        self.value = torch.full((rows, keep), torch.inf, dtype=like.dtype, device=like.device)
        self.place = torch.full((rows, keep), -1, dtype=torch.int64, device=like.device)

    def offer(self, start: int, first: int, tile: Tensor) -> None:
        """Takes up a tile `(b, c)` whose upper left entry is that of row `start` and column `first`."""
        part = slice(start, start + len(tile))
        value, place = self._candidates(part, tile)  # (b, few)
        if value.shape[1] == 0:
            return
        value = torch.cat([self.value[part], value], dim=1)
        place = torch.cat([self.place[part], place + first], dim=1)
        self.value[part], chosen = torch.topk(value, self.keep, dim=1, largest=False, sorted=False)
        self.place[part] = place.gather(1, chosen)

    def _candidates(self, part: slice, tile: Tensor) -> tuple[Tensor, Tensor]:
        """What of a tile `(b, c)` may enter the lists: values and places in the tile, `(b, few)`, filled with inf."""
        width = min(self.keep, tile.shape[1])
        last = self.value[part].amax(dim=1, keepdim=True)
        if bool(last.isinf().any()):  # the first tile of a row: selecting is quicker than listing
            return _least(tile, width)
        row, column = torch.nonzero(tile < last, as_tuple=True)
        count = torch.bincount(row, minlength=len(tile))
        most = int(count.max())
        if most > 4 * width:
            return _least(tile, width)
        within = torch.arange(len(row), device=row.device) - (count.cumsum(0) - count)[row]
        value = tile.new_full((len(tile), most), torch.inf)
        place = torch.zeros((len(tile), most), dtype=torch.int64, device=row.device)
        value[row, within], place[row, within] = tile[row, column], column
        return value, place


class _Search:
    """Candidates of each row by a product in one type, and what its error leaves open."""

    def __init__(
        self, distances: Distances, rows: Tensor, columns: Tensor, own: Tensor | None, k: int, dtype: torch.dtype
    ) -> None:
        self.distances, self.rows, self.columns, self.own, self.k = distances, rows, columns, own, k
        self.dtype, self.error = dtype, distances.error(dtype)
        like = torch.empty(0, dtype=dtype, device=rows.device)
        self.near = _Least(len(rows), min(len(columns), k + SPARE), like)
        self.far = _Least(len(rows), min(len(columns), FAR), like)  # of -d
        self._parts: dict[int, Part] = {}
        with torch.no_grad(), full_float32(rows.device):
            self._run()
        self._parts.clear()

    def _run(self) -> None:
        side, symmetric = self.distances.side, self.own is not None and len(self.rows) == len(self.columns)
        for start in range(0, len(self.rows), side):
            a = self._column_part(start) if symmetric else self._part(self.rows, start)
            for first in range(start if symmetric else 0, len(self.columns), side):
                same = symmetric and first == start
                tile = self.distances.tile(a, a if same else self._column_part(first))  # (b, c)
                if self.own is not None:
                    _fill_own(tile, self.own[start : start + side] - first)
                self._offer(start, first, tile)
                if symmetric and not same:
                    self._offer(first, start, tile.T)

    def _part(self, index: Tensor, start: int) -> Part:
        return self.distances.part(index[start : start + self.distances.side], self.dtype)

    def _column_part(self, first: int) -> Part:
        """Part of the columns; all are kept where they take no more than half of the memory."""
        found = self._parts.get(first)
        if found is None:
            found = self._part(self.columns, first)
            if 2 * found.rows.element_size() * found.rows.shape[1] * len(self.columns) <= self.distances.memory:
                self._parts[first] = found
        return found

    def _offer(self, start: int, first: int, tile: Tensor) -> None:
        self.near.offer(start, first, tile)
        self.far.offer(start, first, -tile)

    def settle(self, result: Neighbours, names: Tensor) -> Tensor:
        """Writes the lists, and returns which rows are open still.

        Args:
            result: Where the lists and the farthest go, at the rows `names`.
            names: `(n,)` long.

        Returns:
            `(n,)` bool; what was written of an open row is not proven.
        """
        step = 2 * self.error + 2 / GRID  # values farther apart than this are in their true order
        open_ = torch.zeros(len(self.rows), dtype=torch.bool, device=self.rows.device)
        value, order = self.near.value.double().sort(dim=1)  # (n, keep)
        place = self.near.place.gather(1, order)
        if value.shape[1] < len(self.columns):
            open_ = value[:, -1] - value[:, self.k - 1] <= step
        gap = torch.nn.functional.pad(value.diff(dim=1), (1, 1), value=torch.inf)  # (n, keep + 1)
        close = ((gap[:, :-1] <= step) | (gap[:, 1:] <= step)) & ~open_[:, None]  # (n, keep)
        value[close] = self._exact(close, place)
        result.index[names.cpu().numpy()] = _in_order(value, place)[:, : self.k].cpu().numpy()
        far = -self.far.value.double()  # (n, FAR)
        likely = far >= far.amax(dim=1, keepdim=True) - step
        if far.shape[1] < len(self.columns):
            open_ |= likely.all(dim=1)
        likely &= ~open_[:, None]
        far[likely] = self._exact(likely, self.far.place)
        result.farthest[names.cpu().numpy()] = far.masked_fill(~likely, -torch.inf).amax(dim=1).cpu().numpy()
        return open_

    def _exact(self, mask: Tensor, place: Tensor) -> Tensor:
        """Exact d of the marked candidates, `(P,)` float64."""
        row, at = torch.nonzero(mask, as_tuple=True)
        column = place[row, at]
        d = self.distances.between(self.rows[row], self.columns[column])
        if self.own is not None:
            d[column == self.own[row]] = 0.0
        return d


def _least(tile: Tensor, k: int) -> tuple[Tensor, Tensor]:
    found = torch.topk(tile, k, dim=1, largest=False, sorted=False)
    return found.values, found.indices


def _fill_own(tile: Tensor, own: Tensor) -> None:
    """Puts each row before all others in its own list; `own` `(b,)` is its column in the tile, if it is there."""
    row = torch.nonzero((own >= 0) & (own < tile.shape[1])).flatten()
    tile[row, own[row]] = -1.0


def _in_order(value: Tensor, place: Tensor) -> Tensor:
    """Places `(n, keep)` by (value, place)."""
    place, by_place = place.sort(dim=1)
    return place.gather(1, value.gather(1, by_place).argsort(dim=1, stable=True))


def _in_full(
    d: Distances, rows: Tensor, columns: Tensor, own: Tensor | None, open_: Tensor, result: Neighbours
) -> None:
    """Sorts whole rows of exact distances."""
    m, k = len(columns), result.index.shape[1]
    for some in torch.split(open_, max(1, min(d.side, d.memory // (64 * m)))):
        value = d.block(rows[some], columns)  # (b, m)
        key = (value * GRID).long() * m + torch.arange(m, device=value.device)  # (b, m): sorts by (d, place)
        if own is not None:
            here = torch.arange(len(some), device=value.device), own[some]
            value[here], key[here] = 0.0, -1
        place = torch.topk(key, k, dim=1, largest=False, sorted=True).indices  # (b, m) -> (b, k)
        names = some.cpu().numpy()
        result.index[names] = place.cpu().numpy()
        result.farthest[names] = value.amax(dim=1).cpu().numpy()
