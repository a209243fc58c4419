"""Where the scores of tiles fall among the matches of some queries."""

from __future__ import annotations

import torch
from torch import Tensor

from wsreid.retrieval.doubts import Doubts, KnownScores
from wsreid.retrieval.features import FeatureTable
from wsreid.retrieval.masks import at_least, count_true, true_places
from wsreid.retrieval.products import product32, product64
from wsreid.retrieval.query_block import QueryBlock
from wsreid.retrieval.scores import divide_by_norms, scaled_rows
from wsreid.retrieval.scratch import Scratch
from wsreid.retrieval.tiles import Tile, distinct_rows

MANY = 0.04  # share of a tile's scores from which a grid places them sooner than a search one by one
UNSURE = 0.25  # share of scores that a grid may leave open before a float64 product is taken
CROWDED = 0.05  # share of doubtful scores from which a float64 product costs less than float64 dot products of pairs
WIDE = {"cpu": 8160}  # columns of a float64 product; elsewhere 2^14


class Placing:
    """Adds up the tiles that some queries meet in one thread.

    A score that passes `a` of its query's matches, and ties with those up to `b`, is one entry in bin `a` of `passes`
    and a +1, -1 in `ties`; sums over the bins give the counts. A query with m matches has bins 0..m.

    Args:
        block: The queries.
        gallery: All gallery rows.
        memory: Bytes that passing arrays may take.
        scratch: Working memory of the thread.
        scored: Exact scores that are there already.
    """

    def __init__(
        self,
        block: QueryBlock,
        gallery: FeatureTable,
        memory: int,
        scratch: Scratch,
        scored: KnownScores | None = None,
    ) -> None:
        self.block, self.gallery, self.memory = block, gallery, memory
        self.doubts = Doubts(block, gallery, memory, scored)
        self.doubled = 0
        self.gridded = self.crowded = False
        self._scratch = scratch

    def add(self, tile: Tile) -> None:
        """Counts the rows of a tile."""
        block = self.block
        if self.crowded or block.quick is None or tile.quick is None:
            self._add_in_float64(tile)
            return
        scores = self._product(block.quick, tile.quick, tile)  # (q, m)
        edges = block.edges(tile.longest)
        found = None if self.gridded else self._survivors(scores, edges.floor)
        tally: Tensor | None = None
        start: Tensor | None = None
        if found is None:
            self.gridded = True
            edges, grid = block.grid(tile.longest)
            placed = grid.place(scores, self._scratch)
            tally, row, column, start, near = placed.tally, placed.row, placed.column, placed.start, placed.score
        else:
            row, column = found
            near = scores[row, column]
        doubtful: Tensor | None = None
        if len(row) <= UNSURE * scores.numel():
            passed, doubtful = edges.place(row, near, start)
            doubt = torch.nonzero(doubtful).flatten()  # (d,)
        if doubtful is None or len(doubt) > CROWDED * scores.numel():
            self.crowded = True
            self._add_in_float64(tile)
            return
        if tally is not None:
            self.doubts.passes += tally
        self._tally(passed[~doubtful])
        if len(doubt):
            column = column[doubt]
            self.doubts.add(row[doubt], tile.index[column], tile.norms[column], passed[doubt])

    def sums(self) -> tuple[Tensor, Tensor]:
        """`passes` and `ties` over all tiles added so far, `(M + R,)` long each."""
        self.doubts.settle()
        return self.doubts.passes, self.doubts.ties

    def _survivors(self, scores: Tensor, floor: Tensor) -> tuple[Tensor, Tensor] | None:
        """Queries and columns of the scores that pass some match, `(n,)` each; None if they are many."""
        if scores.device.type != "cpu":
            return true_places(at_least(scores, floor[:, None]))
        active = torch.nonzero(scores.amax(dim=1) >= floor).flatten()  # (a,)
        few = 2 * len(active) < len(scores)
        survives = at_least(scores[active], floor[active, None]) if few else at_least(scores, floor[:, None])
        if count_true(survives) > MANY * scores.numel():
            return None
        row, column = true_places(survives)
        return active[row] if few else row, column

    def _product(self, quick: Tensor, rows: Tensor, tile: Tile) -> Tensor:
        out = self._scratch.take("scores", (len(quick), len(rows)))
        scores = product32(quick, rows, out=out)  # (q, D), (m, D) -> (q, m)
        if self.block.metric == "euclidean":
            scores.mul_(2).sub_(tile.norms.square().float())
        return scores

    def _add_in_float64(self, tile: Tile) -> None:
        """Decides by a float64 product and its own, far smaller, bound.

        For galleries that lie closer together than float32 can tell, as those of an untrained network do, and for
        queries with so many matches that a match is near each score.
        """
        rows64, metric, device = self.block.rows64, self.block.metric, self.block.query.device
        place, weight = distinct_rows(tile)
        fit = self.memory // 4 // (24 * self.block.query.width + 20 * self.block.rows)
        step = max(8, min(len(place), WIDE.get(device.type, 2**14), fit))
        for start in range(0, len(place), step):
            index, times = tile.index[place[start : start + step]], weight[start : start + step]
            g, square = self._scaled(index)  # (g, D)
            out = self._scratch.take("scores64", (len(rows64), len(g)), torch.float64)
            scores = product64(rows64, g, out=out)  # (q, D), (g, D) -> (q, g)
            longest = 1.0 if metric == "cosine" else float(square.max().sqrt())
            if metric == "euclidean":
                scores.mul_(2).sub_(square)
            self.doubled += scores.numel()
            self._place_in_float64(scores, index, None if bool((times == 1).all()) else times, longest)

    def _scaled(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """As `scaled_rows`; on the CPU in memory that is used again, as fresh pages would pile up in each thread."""
        metric = self.block.metric
        if index.device.type != "cpu":
            return scaled_rows(self.gallery, index, metric)
        shape = (len(index), self.gallery.width)
        g, passing = (self._scratch.take(name, shape, torch.float64) for name in ("rows64", "squares64"))
        self.gallery.pick_into(index.numpy(), g.numpy())
        square = divide_by_norms(g.numpy(), "euclidean" if metric == "dot" else metric, passing.numpy())
        return g, torch.from_numpy(square)

    def _place_in_float64(self, scores: Tensor, index: Tensor, times: Tensor | None, longest: float) -> None:
        thresholds = self.block.thresholds
        if scores.device.type != "cpu":
            bound = self.block.bound64(longest)
            row, column = true_places(at_least(scores, thresholds.least[:, None] - 2 * bound))
            start, near = thresholds.offset[row] + row, scores[row, column]
        else:
            bound, grid = self.block.grid64(longest)
            placed = grid.place(scores, self._scratch, times)
            self.doubts.passes += placed.tally
            row, column, start, near = placed.row, placed.column, placed.start, placed.score
        passed, unsure = thresholds.place_within(row, near, bound, start)
        weight = torch.ones_like(column) if times is None else times[column]
        self._tally(passed[~unsure], weight[~unsure])
        if bool(unsure.any()):
            self.doubts.add_close(row[unsure], index[column[unsure]], weight[unsure])

    def _tally(self, bins: Tensor, weight: Tensor | None = None) -> None:
        if len(bins):
            self.doubts.passes.index_add_(0, bins, torch.ones_like(bins) if weight is None else weight)
