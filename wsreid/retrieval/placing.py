"""Where the scores of a tile fall among the matches of some queries."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from wsreid.retrieval.features import FeatureTable, Metric
from wsreid.retrieval.grid import Grid
from wsreid.retrieval.masks import count_true, true_places
from wsreid.retrieval.products import block_of, error_bound, error_bound64, fits_float32, product32, product64
from wsreid.retrieval.scores import divide_rows, pair_scores, row_norms, scaled_rows
from wsreid.retrieval.scratch import Scratch
from wsreid.retrieval.thresholds import Edges, Thresholds
from wsreid.retrieval.tiles import LANES, Tile, distinct_rows

MANY = 0.04  # share of a tile's scores from which a grid places them sooner than a search one by one
UNSURE = 0.15  # share of scores that a grid may leave open before a float64 product is taken
CROWDED = 0.02  # share of doubtful scores from which a float64 product costs less than exact scores
WIDE = {"cpu": 8160}  # columns of a float64 product; elsewhere 2^14


class QueryBlock:
    """Adds up the tiles of some queries.

    A score that passes `a` of its query's matches, and ties with those up to `b`, is one entry in bin `a` of `passes`
    and a +1, -1 in `ties`; sums over the bins give the counts. A query with m matches has bins 0..m.

    Args:
        query: All queries.
        gallery: All gallery rows.
        start: The block's first query.
        thresholds: The matches of its queries.
        metric: The similarity.
        memory: Bytes that passing arrays may take.
        table_memory: Bytes that its own table may take.
        scratch: Working memory, which blocks share.
    """

    def __init__(
        self,
        query: FeatureTable,
        gallery: FeatureTable,
        start: int,
        thresholds: Thresholds,
        metric: Metric,
        memory: int,
        table_memory: int,
        scratch: Scratch,
    ) -> None:
        self.query, self.gallery, self.start = query, gallery, start
        self.thresholds, self.metric, self.memory = thresholds, metric, memory
        self._table_memory = table_memory
        self.rows = len(thresholds.offset) - 1
        device = thresholds.scores.device
        self.passes = torch.zeros(len(thresholds.scores) + self.rows, dtype=torch.int64, device=device)
        self.ties = torch.zeros_like(self.passes)
        self.rechecked = self.doubled = 0
        self._open: list[tuple[Tensor, Tensor, Tensor]] = []
        self._n_open = 0
        self.gridded = self.crowded = False
        self._scratch = scratch
        self._rows64: Tensor | None = None
        self._edges: dict[float, Edges] = {}
        self._grids: dict[float, Grid] = {}
        rows = query.slice(start, start + self.rows)
        norms = row_norms(rows)
        self.longest = 1.0 if metric == "cosine" else float(norms.max())
        self.quick: Tensor | None = None
        if metric == "cosine":
            self.quick = divide_rows(rows, norms)
        elif fits_float32(norms):
            self.quick = rows.float()

    def add(self, tile: Tile) -> None:
        """Counts the rows of a tile."""
        if self.crowded or self.quick is None or tile.quick is None:
            self._add_in_float64(tile)
            return
        longest = 1.0 if self.metric == "cosine" else _power_of_two_above(tile.longest)
        bound = error_bound(self.query.width, self.metric, self.longest, longest, block_of(self.quick))
        if bound not in self._edges:
            self._edges = {bound: self.thresholds.edges(bound)}
        edges = self._edges[bound]
        scores = self._product(self.quick, tile.quick, tile)  # (q, m)
        found = None if self.gridded else self._survivors(scores, edges.floor)
        tally: Tensor | None = None
        if found is None:
            self.gridded = True
            if bound not in self._grids:
                self._grids = {
                    bound: Grid(self.thresholds, edges.lower, edges.upper, self._table_memory, self._scratch)
                }
            placed = self._grids[bound].place(scores)
            tally, row, values, column = placed.tally, placed.row, scores[placed.row, placed.column], placed.column
        else:
            row, values, column = found
        doubtful: Tensor | None = None
        if len(row) <= UNSURE * scores.numel():
            passed, doubtful = edges.place(row, values)
            doubt = torch.nonzero(doubtful).flatten()  # (d,)
        if doubtful is None or len(doubt) > CROWDED * len(tile.index) * self.rows:
            self.crowded = True
            self._add_in_float64(tile)
            return
        if tally is not None:
            self.passes += tally
        sure = torch.nonzero(~doubtful).flatten()
        self._tally(self.passes, passed[sure] + row[sure])
        if len(doubt):
            self._put_off(row[doubt], tile.index[column[doubt]], torch.ones_like(doubt))

    def counts(self) -> tuple[Tensor, Tensor]:
        """Images above and tied with each match, `(M,)` long each, over all tiles added so far."""
        self._settle()
        row, offset = self.thresholds.row, self.thresholds.offset
        mine = torch.arange(len(row), device=row.device) + row  # (M,) bin of each match
        last = offset[1:][row] + row  # (M,) last bin of its query
        running = self.passes.cumsum(0)
        return running[last] - running[mine], self.ties.cumsum(0)[mine]

    def _survivors(self, scores: Tensor, floor: Tensor) -> tuple[Tensor, Tensor, Tensor] | None:
        """Queries, values and columns of the scores that pass some match, `(n,)` each; None if they are many."""
        if scores.device.type != "cpu":
            row, column = true_places(scores >= floor[:, None])
            return row, scores[row, column], column
        active = torch.nonzero(scores.amax(dim=1) >= floor).flatten()  # (a,)
        if 2 * len(active) < len(scores):
            scores = scores[active]  # (a, m)
        else:
            active = torch.arange(len(scores), device=scores.device)
        survives = scores >= floor[active, None]
        if count_true(survives) > MANY * scores.shape[1] * self.rows:
            return None
        row, column = true_places(survives)
        return active[row], scores[row, column], column

    def _product(self, quick: Tensor, rows: Tensor, tile: Tile) -> Tensor:
        padded = len(rows)
        scores = product32(
            quick, rows, out=self._scratch.take("scores", (self.rows, padded))
        )  # (q, D), (m, D) -> (q, m)
        if self.metric == "euclidean":
            square = torch.zeros(padded, device=scores.device)
            square[: len(tile.norms)] = tile.norms.square().float()
            scores.mul_(2).sub_(square)
        scores[:, len(tile.index) :] = -torch.inf
        return scores

    def _add_in_float64(self, tile: Tile) -> None:
        """Decides by a float64 product and its own, far smaller, bound.

        For galleries that lie closer together than float32 can tell, as those of an untrained network do, and for
        queries with so many matches that a match is near each score.
        """
        if self._rows64 is None:
            mine = torch.arange(self.start, self.start + self.rows, device=self.query.device)
            self._rows64 = scaled_rows(self.query, mine, self.metric)[0]  # (q, D)
        place, weight = distinct_rows(tile)
        step = max(
            LANES,
            min(
                len(place),
                WIDE.get(self.query.device.type, 2**14),
                self.memory // 4 // (24 * self.query.width + 20 * self.rows),
            ),
        )
        for start in range(0, len(place), step):
            index, times = tile.index[place[start : start + step]], weight[start : start + step]
            g, square = scaled_rows(self.gallery, index, self.metric)  # (g, D)
            scores = product64(self._rows64, g)  # (q, D), (g, D) -> (q, g)
            longest = 1.0 if self.metric == "cosine" else float(square.max().sqrt())
            if self.metric == "euclidean":
                scores.mul_(2).sub_(square)
            bound = error_bound64(self.query.width, self.metric, self.longest, longest)
            self.doubled += scores.numel()
            padding = -scores.shape[1] % LANES
            if padding:
                scores = torch.nn.functional.pad(scores, (0, padding), value=-torch.inf)  # (q, g) -> (q, m)
                times = torch.nn.functional.pad(times, (0, padding))
            once = bool((weight[start : start + step] == 1).all())
            self._place_in_float64(scores, index, None if once else times, bound)

    def _place_in_float64(self, scores: Tensor, index: Tensor, times: Tensor | None, bound: float) -> None:
        zone = 2 * bound if self.metric == "cosine" else _power_of_two_above(2 * bound)
        if scores.device.type != "cpu":
            row, column = true_places(scores >= self.thresholds.least[:, None] - zone)
        else:
            if zone not in self._grids:
                edge = self.thresholds.scores
                self._grids = {zone: Grid(self.thresholds, edge - zone, edge + zone, self._table_memory, self._scratch)}
            placed = self._grids[zone].place(scores, times)
            self.passes += placed.tally
            row, column = placed.row, placed.column
        values = scores[row, column]
        weight = None if times is None else times[column]
        passed, unsure = self.thresholds.place_within(row, values, bound)
        sure, doubt = torch.nonzero(~unsure).flatten(), torch.nonzero(unsure).flatten()
        self._tally(self.passes, passed[sure] + row[sure], None if weight is None else weight[sure])
        if len(doubt):
            self._put_off(row[doubt], index[column[doubt]], torch.ones_like(doubt) if weight is None else weight[doubt])

    def _put_off(self, row: Tensor, index: Tensor, weight: Tensor) -> None:
        """Keeps pairs for their exact scores: rows of the block and of the gallery, how often, `(n,)` long each."""
        self._open.append((row, index, weight))
        self._n_open += len(row)
        if self._n_open * 24 > self.memory // 16:
            self._settle()

    def _settle(self) -> None:
        """Places the pairs put off so far by their exact scores."""
        if not self._open:
            return
        row, index, weight = (torch.cat(parts) for parts in zip(*self._open, strict=True))
        self._open, self._n_open = [], 0
        order = torch.argsort(row, stable=True)  # pairs of one query side by side
        row, index, weight = row[order], index[order], weight[order]
        self.rechecked += len(row)
        exact = pair_scores(
            self.query, self.gallery, row + self.start, index, metric=self.metric, memory=self.memory // 4
        )
        passed, tied = self.thresholds.place(row, exact)
        self._tally(self.passes, passed + row, weight)
        self._tally(self.ties, passed + row, weight)
        self._tally(self.ties, tied + row, -weight)

    def _tally(self, target: Tensor, bins: Tensor, weight: Tensor | None = None) -> None:
        if len(bins):
            target.index_add_(0, bins, torch.ones_like(bins) if weight is None else weight)


def _power_of_two_above(value: float) -> float:
    """A bound for many tiles at once, so that edges need not be made for each."""
    return math.ldexp(1.0, math.frexp(value)[1])
