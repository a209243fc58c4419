"""Rank counting: how many gallery images score above each match, tile by tile, without a sort."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from wsreid.retrieval.features import Metric, ScaledFeatures, exact_scores
from wsreid.retrieval.junk import UNKNOWN, Ints, Pairs
from wsreid.retrieval.precision import full_float32
from wsreid.retrieval.thresholds import Edges, Thresholds

CROWDED = 0.02  # share of doubtful pairs in a tile from which a float64 product of all of it costs less
BLOCK = 256  # entries added up in one float32 product: the error grows with it, the speed too


@dataclass(frozen=True)
class Counts:
    """What ranks are made of, one entry a match. Counts of disjoint galleries add up.

    Attributes:
        above: Non-matches that score higher, `(M,)` long.
        tied: Non-matches that score the same, `(M,)` long.
        rechecked: Pairs that took their exact score.
        compared: Pairs compared.
    """

    above: Tensor
    tied: Tensor
    rechecked: int
    compared: int

    def __add__(self, other: Counts) -> Counts:
        """The counts over both galleries."""
        return Counts(
            self.above + other.above,
            self.tied + other.tied,
            self.rechecked + other.rechecked,
            self.compared + other.compared,
        )


def error_bound(width: int, metric: Metric, longest_query: float, longest_gallery: float) -> float:
    """How far a float32 score of this module may lie from the exact one.

    A product of at most 256 entries errs by 256 u |q||g| in any order of additions (u = 2^-24; Higham, "Accuracy and
    Stability of Numerical Algorithms", eq. 3.5), each further block adds one rounding, each scaled entry two; 1 % pays
    for second-order terms and 1e-12 for the float64 score itself.

    Args:
        width: Dimension D.
        metric: The similarity; `euclidean` doubles the product and rounds |g|^2 and the difference.
        longest_query: Greatest norm of the scaled query rows.
        longest_gallery: Greatest norm of the scaled gallery rows.

    Returns:
        The bound, about 1.6e-5 for unit rows.
    """
    u = 2.0**-24
    blocks = -(-width // BLOCK)
    product = (min(width, BLOCK) + blocks + 6) * u * 1.01 * longest_query * longest_gallery
    if metric != "euclidean":
        return product + 1e-12
    return 2 * product + 4 * u * (longest_gallery**2 + 2 * longest_query * longest_gallery) + 1e-12


def count_better(
    query: ScaledFeatures,
    gallery: ScaledFeatures,
    g_pid: Ints,
    pairs: Pairs,
    thresholds: Thresholds,
    *,
    metric: Metric,
    memory: int,
) -> Counts:
    """Counts the non-matches above and beside each match.

    A float32 product decides all pairs that lie outside its error bound; the others take their exact score. So the
    counts are those of the exact scores, whatever the tiles, the threads or the order of the gallery.

    Args:
        query: Q rows.
        gallery: G rows.
        g_pid: Identities, `(G,)`; -1 is counted for no query.
        pairs: All pairs of one identity, junk included: none of them is a non-match.
        thresholds: Exact scores of the Q queries' matches. They need not lie in this gallery.
        metric: The similarity.
        memory: Bytes that the working arrays may take.

    Returns:
        Counts in the order of `thresholds.scores`.
    """
    device = query.table.device
    known = torch.from_numpy(g_pid != UNKNOWN).to(device)
    all_known = bool(known.all())
    by_gallery = np.argsort(pairs.gallery, kind="stable")
    apart = _Apart(
        torch.from_numpy(pairs.query[by_gallery]).to(device), torch.from_numpy(pairs.gallery[by_gallery]).to(device)
    )
    rows, queries, columns = _tile_sizes(query.table.rows, query.table.width, memory)
    totals: list[Counts] = []
    with torch.no_grad(), full_float32(device):
        for q0 in range(0, query.table.rows, rows):
            q1 = min(q0 + rows, query.table.rows)
            counter = _Counter(query, gallery, thresholds.part(q0, q1), q0, metric, memory // 8)
            q = query.approximate(q0, q1)  # (q, D)
            for g0 in range(0, gallery.table.rows, columns):
                g1 = min(g0 + columns, gallery.table.rows)
                g = gallery.approximate(g0, g1)  # (g, D)
                longest = float(gallery.square[g0:g1].max().sqrt())
                tile_pairs = apart.within(g0, g1)
                for start in range(q0, q1, queries):
                    stop = min(start + queries, q1)
                    scores = _product(q[start - q0 : stop - q0], g)  # (q, D), (g, D) -> (q, g)
                    if metric == "euclidean":
                        scores = scores.mul_(2).sub_(gallery.square[g0:g1].float())
                    if not all_known:
                        scores[:, ~known[g0:g1]] = -torch.inf
                    tile_pairs.hide(scores, start, stop, g0)
                    counter.add(scores, start, g0, longest)
            totals.append(counter.counts(int(known.sum()) * (q1 - q0)))
    return Counts(
        torch.cat([t.above for t in totals]),
        torch.cat([t.tied for t in totals]),
        sum(t.rechecked for t in totals),
        sum(t.compared for t in totals),
    )


def _tile_sizes(rows: int, width: int, memory: int) -> tuple[int, int, int]:
    """Queries held at once, queries in a tile, gallery images in a tile."""
    held = max(1, min(rows, memory // 4 // (4 * width)))
    in_tile = min(held, 1024)
    # a gallery row: stored, float64, float32; a score: 80 bytes if it survives all comparisons up to the recheck
    columns = min(memory // 4 // (16 * width), memory // 4 // (80 * in_tile), 8192)
    return held, in_tile, max(1, columns)


def _product(q: Tensor, g: Tensor) -> Tensor:
    """`(q, D)`, `(g, D)` -> `(q, g)` float32, added up in blocks so that the error does not grow with D."""
    total = q[:, :BLOCK] @ g[:, :BLOCK].T
    for start in range(BLOCK, q.shape[1], BLOCK):
        total += q[:, start : start + BLOCK] @ g[:, start : start + BLOCK].T
    return total


@dataclass(frozen=True)
class _Apart:
    """Pairs of one identity, ascending in `gallery`: their scores are hidden from the counting of non-matches."""

    query: Tensor
    gallery: Tensor

    def within(self, start: int, stop: int) -> _Apart:
        """The pairs of the gallery rows `start` to `stop`."""
        bounds = torch.tensor([start, stop], device=self.gallery.device)
        a, b = torch.searchsorted(self.gallery, bounds).tolist()
        return _Apart(self.query[a:b], self.gallery[a:b])

    def hide(self, scores: Tensor, start: int, stop: int, g0: int) -> None:
        """Sets their scores to -inf in the tile of the queries `start` to `stop`."""
        mine = (self.query >= start) & (self.query < stop)
        scores[self.query[mine] - start, self.gallery[mine] - g0] = -torch.inf


class _Counter:
    """Adds up the tiles of some queries.

    A score that passes `a` of its query's matches, and ties with those up to `b`, is one entry in bin `a` of `passes`
    and a +1, -1 in `ties`; sums over the bins give the counts. Each query has one bin more than matches.
    """

    def __init__(
        self,
        query: ScaledFeatures,
        gallery: ScaledFeatures,
        thresholds: Thresholds,
        first: int,
        metric: Metric,
        memory: int,
    ) -> None:
        self.query, self.gallery, self.thresholds = query, gallery, thresholds
        self.first, self.metric, self.memory = first, metric, memory
        self.bins = len(thresholds.scores) + len(thresholds.offset) - 1
        self.passes = torch.zeros(self.bins, dtype=torch.int64, device=thresholds.scores.device)
        self.ties = torch.zeros_like(self.passes)
        self.rechecked = 0
        self.longest_query = query.square[first : first + len(thresholds.offset) - 1].max().sqrt().item()
        self.edges: dict[float, Edges] = {}

    def add(self, scores: Tensor, start: int, g0: int, longest: float) -> None:
        """Adds a tile: `(q, g)` float32 scores of the queries from `start` and the gallery rows from `g0`."""
        bound = error_bound(self.query.table.width, self.metric, self.longest_query, longest)
        edges = self.edges.get(bound)
        if edges is None:  # under cosine all tiles share one
            edges = self.thresholds.edges(bound)
            self.edges = {bound: edges}
        begin = start - self.first
        survives = scores >= edges.floor[begin : begin + len(scores), None]
        row, column = torch.nonzero(survives, as_tuple=True)  # (n,)
        passed, doubtful = edges.place(row + begin, scores[survives])
        self.passes += self._bins(passed, row + begin)
        doubt = torch.nonzero(doubtful).flatten()  # (d,)
        if len(doubt) == 0:
            return
        row, column = row[doubt], column[doubt]
        self.passes -= self._bins(passed[doubt], row + begin)  # booked too early: they are placed anew
        if len(doubt) > CROWDED * scores.numel():
            row, column = self._decide_in_float64(row, column, scores.shape, start, g0)
        self.rechecked += len(row)
        exact = self._exact(row + start, column + g0)
        passed, tied = self.thresholds.place(row + begin, exact)
        self.passes += self._bins(passed, row + begin)
        self.ties += self._bins(passed, row + begin) - self._bins(tied, row + begin)

    def _decide_in_float64(
        self, row: Tensor, column: Tensor, shape: torch.Size, start: int, g0: int
    ) -> tuple[Tensor, Tensor]:
        """Decides pairs by a float64 product and its own, far smaller, bound; returns those it leaves open.

        For galleries that lie closer together than float32 can tell, as those of an untrained network do.
        """
        device = row.device
        q = self.query.exact(torch.arange(start, start + shape[0], device=device))  # (q, D)
        open_row, open_column = [], []
        step = max(1, self.memory // (24 * q.shape[1] + 8 * shape[0]))
        order = torch.argsort(column)
        row, column = row[order], column[order]
        for left in range(0, shape[1], step):
            right = min(left + step, shape[1])
            a, b = torch.searchsorted(column, torch.tensor([left, right], device=device)).tolist()
            if a == b:
                continue
            r, c = row[a:b], column[a:b]
            picked = torch.arange(g0 + left, g0 + right, device=device)
            scores = (q @ self.gallery.exact(picked).T)[r, c - left]  # (q, D), (g, D) -> (q, g) -> (n,)
            product = self.longest_query * self.gallery.square[picked].max().sqrt().item()
            bound = (q.shape[1] + 8) * 2.0**-52 * (product + 1)
            if self.metric == "euclidean":
                square = self.gallery.square[g0 + c]
                scores, bound = 2 * scores - square, 2 * bound + 2.0**-50
            passed = self.thresholds.place(r + start - self.first, scores - bound)[0]
            still_open = self.thresholds.place(r + start - self.first, scores + bound)[1] > passed
            sure = ~still_open
            self.passes += self._bins(passed[sure], r[sure] + start - self.first)
            open_row.append(r[still_open])
            open_column.append(c[still_open])
        return torch.cat(open_row), torch.cat(open_column)

    def _exact(self, qi: Tensor, gi: Tensor) -> Tensor:
        """Exact scores of pairs, `(n,)`; equal images are computed once."""
        if self.query.distinct and self.gallery.distinct:
            return exact_scores(self.query, self.gallery, qi, gi, metric=self.metric, memory=self.memory)
        rows = self.gallery.table.rows
        keys, inverse = torch.unique(self.query.first[qi] * rows + self.gallery.first[gi], return_inverse=True)
        scores = exact_scores(
            self.query, self.gallery, keys // rows, keys % rows, metric=self.metric, memory=self.memory
        )
        return scores[inverse]

    def _bins(self, place: Tensor, row: Tensor) -> Tensor:
        return torch.bincount(place + row, minlength=self.bins)

    def counts(self, compared: int) -> Counts:
        """The counts over all tiles added so far."""
        row = self.thresholds.row
        mine = torch.arange(len(row), device=row.device) + row  # (M,) bin of each match
        last = self.thresholds.offset[1:][row] + row  # (M,) last bin of its query
        running = self.passes.cumsum(0)
        return Counts(running[last] - running[mine], self.ties.cumsum(0)[mine], self.rechecked, compared)
