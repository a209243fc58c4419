"""The k nearest rows of each row, and its farthest one, without an N x N matrix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from wsreid.retrieval.distances import GRID, Distances, Part, on_grid

SPARE = 8  # neighbours kept beyond the k: their distance proves that nothing nearer was dropped
Lists = np.ndarray[tuple[int, int], np.dtype[np.int64]]
Floats2 = np.ndarray[tuple[int, int], np.dtype[np.float64]]


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Sorted lists.

    Attributes:
        index: Nearest first, equal distances by place, `(n, k)` int64: places in the list of columns.
        distance: Their d, `(n, k)` float64, on the grid.
        farthest: The greatest d of each row to any column, `(n,)` float64, on the grid.
    """

    index: Lists
    distance: Floats2
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
    search = _Search(distances, rows, columns, k)
    search.run()
    return search.result()


class _Search:
    """The running lists, known up to the error of the tiles."""

    def __init__(self, distances: Distances, rows: Tensor, columns: Tensor | None, k: int) -> None:
        self.distances, self.rows, self.k, self.own = distances, rows, k, columns is None
        self.columns = rows if columns is None else columns
        n, m = len(rows), len(self.columns)
        self.keep = min(m, k + SPARE)
        self.best = torch.full((n, self.keep), torch.inf, dtype=torch.float64, device=rows.device)
        self.place = torch.full((n, self.keep), -1, dtype=torch.int64, device=rows.device)
        self.farthest = torch.full((n,), -torch.inf, dtype=torch.float64, device=rows.device)

    def run(self) -> None:
        side = self.distances.side
        for start in range(0, len(self.rows), side):
            a = self.distances.part(self.rows[start : start + side])
            for first in range(start if self.own else 0, len(self.columns), side):
                same = self.own and first == start
                b = a if same else self.distances.part(self.columns[first : first + side])
                tile = self.distances.tile(a, b)
                self._offer(start, first, tile, diagonal=same)
                if self.own and not same:
                    self._offer(first, start, tile.T, diagonal=False)

    def _offer(self, start: int, first: int, tile: Tensor, *, diagonal: bool) -> None:
        part = slice(start, start + len(tile))
        if diagonal:
            tile.fill_diagonal_(-1.0)  # before all others
        self.farthest[part] = torch.maximum(self.farthest[part], tile.amax(dim=1))
        value, place = self._candidates(part, tile)  # (b, c)
        value = torch.cat([self.best[part], value], dim=1)
        place = torch.cat([self.place[part], place + first], dim=1)
        self.best[part], chosen = torch.topk(value, self.keep, dim=1, largest=False, sorted=False)
        self.place[part] = place.gather(1, chosen)

    def _candidates(self, part: slice, tile: Tensor) -> tuple[Tensor, Tensor]:
        """What of a tile `(b, c)` may enter the lists: values and places in the tile, `(b, few)`, filled with inf."""
        width = min(self.keep, tile.shape[1])
        row, column = torch.nonzero(tile < self.best[part].amax(dim=1, keepdim=True), as_tuple=True)
        count = torch.bincount(row, minlength=len(tile))
        most = int(count.max())
        if most > width:  # the first tiles of a row: selecting is quicker than listing
            value, place = torch.topk(tile, width, dim=1, largest=False, sorted=False)
            return value, place
        within = torch.arange(len(row), device=row.device) - (count.cumsum(0) - count)[row]
        value = tile.new_full((len(tile), most), torch.inf)
        place = torch.zeros((len(tile), most), dtype=torch.int64, device=row.device)
        value[row, within], place[row, within] = tile[row, column], column
        return value, place

    def result(self) -> Neighbours:
        d, bound = self.distances, self.distances.bound
        i, j = self.rows[:, None], self.columns[self.place]  # (n, 1), (n, keep)
        last = self.best.amax(dim=1)  # nothing that was dropped is nearer than this
        own = self.place == torch.arange(len(self.rows), device=i.device)[:, None] if self.own else None
        if own is not None:
            self.best[own] = 0.0
        value = d.settle(self.best, i, j)  # 0 is on the grid
        index, distance = _sorted(value, self.place, own)
        index, distance = index[:, : self.k], distance[:, : self.k]
        beyond = on_grid(last - bound)
        proven = beyond > distance[:, 1:].amax(dim=1) if self.k > 1 else beyond > distance[:, 0]
        if self.own and self.k == 1:
            proven = torch.ones_like(proven)
        if self.keep == len(self.columns):
            proven = torch.ones_like(proven)
        farthest = on_grid(self.farthest - bound)
        proven &= farthest == on_grid(self.farthest + bound)
        result = Neighbours(index.cpu().numpy(), distance.cpu().numpy(), farthest.cpu().numpy())
        self._in_full(torch.nonzero(~proven).flatten(), result)
        return result

    def _in_full(self, open_: Tensor, result: Neighbours) -> None:
        """Sorts whole rows where the tiles' error left the list or the farthest column open."""
        d, m = self.distances, len(self.columns)
        for some in torch.split(open_, max(1, min(d.side, d.memory // (64 * m)))):
            a = d.part(self.rows[some])
            value = torch.empty((len(some), m), dtype=torch.float64, device=open_.device)
            for first in range(0, m, d.side):
                b: Part = d.part(self.columns[first : first + d.side])
                value[:, first : first + d.side] = d.settle(d.tile(a, b), a.index[:, None], b.index)
            if self.own:
                value[torch.arange(len(some), device=open_.device), some] = 0.0
            key = (value * GRID).long() * m + torch.arange(m, device=open_.device)  # (b, m): sorts by (d, place)
            if self.own:
                key[torch.arange(len(some), device=open_.device), some] = -1
            place = torch.topk(key, self.k, dim=1, largest=False, sorted=True).indices  # (b, m) -> (b, k)
            rows = some.cpu().numpy()
            result.index[rows] = place.cpu().numpy()
            result.distance[rows] = value.gather(1, place).cpu().numpy()
            result.farthest[rows] = value.amax(dim=1).cpu().numpy()


def _sorted(value: Tensor, place: Tensor, own: Tensor | None) -> tuple[Tensor, Tensor]:
    """Sorts `(n, keep)` by (not own, value, place)."""
    by_place = torch.argsort(place, dim=1)
    value, place = value.gather(1, by_place), place.gather(1, by_place)
    head = value if own is None else value.masked_fill(own.gather(1, by_place), -1.0)
    order = torch.argsort(head, dim=1, stable=True)
    return place.gather(1, order), value.gather(1, order)
