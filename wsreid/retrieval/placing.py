"""Where the scores of a tile fall among the matches of some queries."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from wsreid.retrieval.features import FeatureTable, Metric
from wsreid.retrieval.grid import Grid
from wsreid.retrieval.masks import count_true, true_places
from wsreid.retrieval.products import error_bound, error_bound64, fits_float32, product32
from wsreid.retrieval.scores import divide_rows, pair_scores, row_norms, scaled_rows
from wsreid.retrieval.thresholds import Edges, Thresholds
from wsreid.retrieval.tiles import LANES, Tile, distinct_rows

MANY = 0.03  # share of a tile's scores from which a grid places them sooner than a search one by one
CROWDED = 0.008  # share of doubtful scores from which a float64 product costs less than exact scores


class QueryBlock:
    """Adds up the tiles of some queries.

    A score that passes `a` of its query's matches, and ties with those up to `b`, is one entry in bin `a` of `passes`
    and a +1, -1 in `ties`; sums over the bins give the counts. Each query has one bin more than matches.

    Args:
        query: All queries.
        gallery: All gallery rows.
        start: The block's first query.
        thresholds: The matches of its queries.
        metric: The similarity.
        memory: Bytes that the working arrays may take.
    """

    def __init__(
        self,
        query: FeatureTable,
        gallery: FeatureTable,
        start: int,
        thresholds: Thresholds,
        metric: Metric,
        memory: int,
    ) -> None:
        self.query, self.gallery, self.start = query, gallery, start
        self.thresholds, self.metric, self.memory = thresholds, metric, memory
        self.rows = len(thresholds.offset) - 1
        self.bins = len(thresholds.scores) + self.rows
        device = thresholds.scores.device
        self.passes = torch.zeros(self.bins, dtype=torch.int64, device=device)
        self.ties = torch.zeros_like(self.passes)
        self.rechecked = self.doubled = 0
        self.crowded = False
        self._scores: Tensor | None = None
        self._rows64: Tensor | None = None
        self._edges: dict[float, Edges] = {}
        self._grids: dict[float, Grid] = {}
        rows = query.slice(start, start + self.rows)
        norms = row_norms(rows)
        self.longest = 1.0 if metric == "cosine" else float(norms.max())
        filled = norms[norms > 0]
        if metric == "cosine":
            self.quick: Tensor | None = divide_rows(rows, norms)
        elif len(filled) and not fits_float32(float(filled.min()), float(filled.max())):
            self.quick = None
        else:
            self.quick = rows.float()

    def add(self, tile: Tile) -> None:
        """Counts the rows of a tile."""
        if self.crowded or self.quick is None or tile.quick is None:
            self._add_in_float64(tile)
            return
        edges, bound = self._edges_for(tile)
        scores = self._product(tile)  # (q, m)
        active = torch.nonzero(scores.amax(dim=1) >= edges.floor).flatten()  # (a,)
        if len(active) == 0:
            return
        if 2 * len(active) < len(scores):
            scores = scores[active]  # (a, m)
        else:
            active = torch.arange(len(scores), device=scores.device)
        survives = scores >= edges.floor[active, None]
        if count_true(survives) > MANY * scores.numel():
            grid = self._grid_for(bound, edges)
            placed, unsure = grid.place(scores, active, MANY)
            if placed is None:
                self.crowded = True
                self._add_in_float64(tile)
                return
            row, column = unsure
        else:
            placed, (row, column) = None, true_places(survives)  # (n,)
        values, row = scores[row, column], active[row]
        passed, doubtful = edges.place(row, values)
        doubt = torch.nonzero(doubtful).flatten()  # (d,)
        if len(doubt) > CROWDED * tile_size(tile, self.rows):
            self.crowded = True
            self._add_in_float64(tile)
            return
        if placed is not None:
            self.passes += placed
        sure = torch.nonzero(~doubtful).flatten()
        self._tally(self.passes, passed[sure] + row[sure])
        if len(doubt):
            self._add_exactly(row[doubt], tile.index[column[doubt]], None)

    def counts(self) -> tuple[Tensor, Tensor]:
        """Images above and tied with each match, `(M,)` long each, over all tiles added so far."""
        row = self.thresholds.row
        mine = torch.arange(len(row), device=row.device) + row  # (M,) bin of each match
        last = self.thresholds.offset[1:][row] + row  # (M,) last bin of its query
        running = self.passes.cumsum(0)
        return running[last] - running[mine], self.ties.cumsum(0)[mine]

    def _product(self, tile: Tile) -> Tensor:
        if self.quick is None or tile.quick is None:
            raise AssertionError("float32 cannot hold these rows")
        padded = len(tile.quick)
        if self._scores is None or self._scores.shape[1] != padded:
            self._scores = torch.empty(self.rows, padded, device=self.query.device)
        scores = product32(self.quick, tile.quick, out=self._scores)  # (q, D), (m, D) -> (q, m)
        if self.metric == "euclidean":
            square = torch.zeros(padded, device=scores.device)
            square[: len(tile.norms)] = tile.norms.square().float()
            scores.mul_(2).sub_(square)
        scores[:, len(tile.index) :] = -torch.inf
        return scores

    def _edges_for(self, tile: Tile) -> tuple[Edges, float]:
        longest = 1.0 if self.metric == "cosine" else _power_of_two_above(tile.longest)
        bound = error_bound(self.query.width, self.metric, self.longest, longest)
        if bound not in self._edges:
            self._edges = {bound: self.thresholds.edges(bound)}
        return self._edges[bound], bound

    def _grid_for(self, bound: float, edges: Edges) -> Grid:
        if bound not in self._grids:
            self._grids = {bound: Grid(self.thresholds, edges.lower, edges.upper, self.memory // 4)}
        return self._grids[bound]

    def _add_in_float64(self, tile: Tile) -> None:
        """Decides by a float64 product and its own, far smaller, bound.

        For galleries that lie closer together than float32 can tell, as those of an untrained network do, and for
        queries with so many matches that a match is near each score.
        """
        if self._rows64 is None:
            mine = torch.arange(self.start, self.start + self.rows, device=self.query.device)
            self._rows64 = scaled_rows(self.query, mine, self.metric)[0]  # (q, D)
        place, weight = distinct_rows(tile)
        step = max(8, min(len(place), 1024, self.memory // 4 // (24 * self.query.width + 40 * self.rows)))
        for start in range(0, len(place), step):
            index, times = tile.index[place[start : start + step]], weight[start : start + step]
            g, square = scaled_rows(self.gallery, index, self.metric)  # (g, D)
            scores = self._rows64 @ g.T  # (q, D), (g, D) -> (q, g)
            longest = 1.0
            if self.metric != "cosine":
                longest = float(square.max().sqrt())
            if self.metric == "euclidean":
                scores.mul_(2).sub_(square)
            bound = error_bound64(self.query.width, self.metric, self.longest, longest)
            self._place_in_float64(scores, index, None if bool((times == 1).all()) else times, bound)
            self.doubled += scores.numel()

    def _place_in_float64(self, scores: Tensor, index: Tensor, times: Tensor | None, bound: float) -> None:
        padding = -scores.shape[1] % LANES
        if padding:
            scores = torch.nn.functional.pad(scores, (0, padding), value=-torch.inf)  # (q, g) -> (q, m)
            times = None if times is None else torch.nn.functional.pad(times, (0, padding))
        zone = 2 * bound if self.metric == "cosine" else _power_of_two_above(2 * bound)
        if zone not in self._grids:
            edge = self.thresholds.scores
            self._grids = {zone: Grid(self.thresholds, edge - zone, edge + zone, self.memory // 4)}
        grid = self._grids[zone]
        everyone = torch.arange(self.rows, device=scores.device)
        placed, (row, column) = grid.place(scores, everyone, 2.0, times)
        if placed is not None:
            self.passes += placed
        values = scores[row, column]
        weight = None if times is None else times[column]
        passed = self.thresholds.place(row, values - bound)[0]
        unsure = self.thresholds.place(row, values + bound)[1] > passed
        sure, doubt = torch.nonzero(~unsure).flatten(), torch.nonzero(unsure).flatten()
        self._tally(self.passes, passed[sure] + row[sure], None if weight is None else weight[sure])
        if len(doubt):
            self._add_exactly(row[doubt], index[column[doubt]], None if weight is None else weight[doubt])

    def _add_exactly(self, row: Tensor, index: Tensor, weight: Tensor | None) -> None:
        """Places pairs by their exact scores: rows of the block and of the gallery, `(n,)` long each."""
        self.rechecked += len(row)
        exact = pair_scores(
            self.query, self.gallery, row + self.start, index, metric=self.metric, memory=self.memory // 4
        )
        passed, tied = self.thresholds.place(row, exact)
        self._tally(self.passes, passed + row, weight)
        self._tally(self.ties, passed + row, weight)
        self._tally(self.ties, tied + row, -torch.ones_like(tied) if weight is None else -weight)

    def _tally(self, target: Tensor, bins: Tensor, weight: Tensor | None = None) -> None:
        if len(bins):
            target.index_add_(0, bins, torch.ones_like(bins) if weight is None else weight)


def tile_size(tile: Tile, rows: int) -> int:
    """Pairs of a tile with `rows` queries."""
    return len(tile.index) * rows


def _power_of_two_above(value: float) -> float:
    """A bound for many tiles at once, so that edges need not be made for each."""
    return math.ldexp(1.0, math.frexp(value)[1])
