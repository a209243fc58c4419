"""Pairs that a product could not decide wait here for better scores."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from wsreid.retrieval.close_scores import close_scores
from wsreid.retrieval.features import FeatureTable
from wsreid.retrieval.products import dot_bound
from wsreid.retrieval.query_block import QueryBlock
from wsreid.retrieval.scores import pair_scores

AT_ONCE = 2**20  # bytes of gallery rows multiplied at once: they stay in the cache


class KnownScores:
    """Exact scores of some pairs, such as the matches: each of these is in doubt beside itself.

    Args:
        query: Query of each pair, `(P,)` long.
        index: Its gallery row, `(P,)` long.
        scores: `(P,)` float64.
        gallery: The number G of gallery rows.
    """

    def __init__(self, query: Tensor, index: Tensor, scores: Tensor, gallery: int) -> None:
        self._gallery = gallery
        self._keys, order = torch.sort(query * gallery + index)
        self.scores = scores[order]

    def find(self, query: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        """Places of pairs in `scores`, `(n,)` long, and which of the pairs are there at all, `(n,)` bool."""
        keys = query * self._gallery + index
        if not len(self._keys):
            return torch.zeros_like(keys), torch.zeros_like(keys, dtype=torch.bool)
        place = torch.searchsorted(self._keys, keys).clamp_(max=len(self._keys) - 1)
        return place, self._keys[place] == keys


class Doubts:
    """Doubtful pairs of a block of queries, placed together: first by float64 dot products, at last by exact scores.

    A dot product in the order of a library costs a quarter of the exact score, whose order is fixed, and leaves only
    ties and what is as good as one.

    Args:
        block: The queries.
        gallery: All gallery rows.
        memory: Bytes that passing arrays may take.
        known: Exact scores that are there already.
    """

    def __init__(self, block: QueryBlock, gallery: FeatureTable, memory: int, known: KnownScores | None = None) -> None:
        self.block, self.gallery, self.memory, self.known = block, gallery, memory, known
        bins = len(block.thresholds.scores) + block.rows
        self.passes = torch.zeros(bins, dtype=torch.int64, device=block.thresholds.scores.device)
        self.ties = torch.zeros_like(self.passes)
        self.rechecked = 0
        self._near: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
        self._close: list[tuple[Tensor, Tensor, Tensor]] = []
        self._n_near = self._n_close = 0

    def add(self, row: Tensor, index: Tensor, norm: Tensor, start: Tensor) -> None:
        """Keeps pairs that a float32 product left open.

        Args:
            row: Rows of the block, `(n,)` long.
            index: Rows of the gallery, `(n,)` long.
            norm: Norms of these, `(n,)` float64.
            start: Bins at or below theirs, `(n,)` long.
        """
        self._near.append((row, index, norm, start))
        self._n_near += len(row)
        self.rechecked += len(row)
        if self._n_near * 32 > self.memory // 16:
            self._settle_near()

    def add_close(self, row: Tensor, index: Tensor, weight: Tensor) -> None:
        """Keeps pairs that a float64 product left open.

        Args:
            row: Rows of the block, `(n,)` long.
            index: Rows of the gallery, `(n,)` long.
            weight: How often each counts, `(n,)` long.
        """
        if not len(row):
            return
        self._close.append((row, index, weight))
        self._n_close += len(row)
        if self._n_close * 24 > self.memory // 16:
            self._settle_close()

    def settle(self) -> None:
        """Places all pairs that still wait."""
        self._settle_near()
        self._settle_close()

    def _settle_near(self) -> None:
        if not self._near:
            return
        row, index, norm, start = (torch.cat(parts) for parts in zip(*self._near, strict=True))
        self._near, self._n_near = [], 0
        order = order_by_row(row, self.block.rows)  # pairs of one query side by side
        row, index, norm, start = row[order], index[order], norm[order], start[order]
        block = self.block
        if self.known is not None:
            place, found = self.known.find(row + block.start, index)
            self._place_exactly(row[found], self.known.scores[place[found]], torch.ones_like(row[found]))
            row, index, norm, start = row[~found], index[~found], norm[~found], start[~found]
        scores = dots(block.rows64, self.gallery, row, index)  # (n,)
        if block.metric == "cosine":
            scores /= torch.where(norm > 0, norm, 1.0)
            norm = torch.ones_like(norm)
        elif block.metric == "euclidean":
            scores.mul_(2).sub_(norm.square())
        bound = dot_bound(block.query.width, block.metric, block.longest, norm)
        found, unsure = block.thresholds.place_within(row, scores, bound, start)
        sure = ~unsure
        self.passes.index_add_(0, found[sure], torch.ones_like(found[sure]))
        self.add_close(row[unsure], index[unsure], torch.ones_like(row[unsure]))

    def _settle_close(self) -> None:
        if not self._close:
            return
        row, index, weight = (torch.cat(parts) for parts in zip(*self._close, strict=True))
        self._close, self._n_close = [], 0
        order = order_by_row(row, self.block.rows)
        row, index, weight = row[order], index[order], weight[order]
        block = self.block
        if row.device.type == "cpu":
            exact = close_scores(block.rows64, self.gallery, row, index, block.metric)
        else:  # no cover: GPU
            exact = pair_scores(
                block.query, self.gallery, row + block.start, index, metric=block.metric, memory=self.memory // 4
            )
        self._place_exactly(row, exact, weight)

    def _place_exactly(self, row: Tensor, exact: Tensor, weight: Tensor) -> None:
        passed, tied = self.block.thresholds.place(row, exact)
        self.passes.index_add_(0, passed + row, weight)
        self.ties.index_add_(0, passed + row, weight)
        self.ties.index_add_(0, tied + row, -weight)


def order_by_row(row: Tensor, rows: int) -> Tensor:
    """The stable order of pairs by row `(n,)` long, each below `rows`: NumPy has a radix sort for short integers."""
    if row.device.type != "cpu" or rows > 2**15:
        return torch.argsort(row, stable=True)
    return torch.from_numpy(np.argsort(row.numpy().astype(np.int16), kind="stable"))


def dots(rows64: Tensor, gallery: FeatureTable, row: Tensor, index: Tensor) -> Tensor:
    """Float64 dot products of pairs, added up in no certain order.

    Args:
        rows64: `(q, D)` float64.
        gallery: G rows.
        row: Row of `rows64` of each pair, `(n,)` long, ascending.
        index: Row of the gallery, `(n,)` long.

    Returns:
        `(n,)` float64.
    """
    scores = torch.empty(len(row), dtype=torch.float64, device=rows64.device)
    if rows64.device.type != "cpu":
        step = max(1, 64 * AT_ONCE // (8 * rows64.shape[1]))
        for a in range(0, len(row), step):
            part = slice(a, a + step)
            scores[part] = torch.linalg.vecdot(rows64[row[part]], gallery.pick(index[part]))  # (p, D) -> (p,)
        return scores
    step = max(1, AT_ONCE // (8 * rows64.shape[1]))
    picked, g_index, rows = torch.empty(min(step, len(row)), rows64.shape[1]).double(), index.numpy(), row.numpy()
    ends = np.union1d(np.flatnonzero(np.diff(rows)) + 1, np.arange(0, len(rows) + 1, step)).tolist()
    piece = 0
    for a, b in pairwise([*ends, len(rows)] if len(rows) % step else ends):
        if a % step == 0:  # runs of one query may be short: rows are fetched for many at once
            piece = a
            gallery.pick_into(g_index[a : a + step], picked.numpy()[: len(rows) - a])
        torch.mv(picked[a - piece : b - piece], rows64[rows[a]], out=scores[a:b])  # (p, D), (D,) -> (p,)
    return scores
