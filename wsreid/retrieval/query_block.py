"""Some queries in the forms in which they meet the gallery; threads share them."""

from __future__ import annotations

import math
from threading import Lock

import torch
from torch import Tensor

from wsreid.retrieval.features import FeatureTable, Metric
from wsreid.retrieval.grid import Grid
from wsreid.retrieval.products import block_of, error_bound, error_bound64, fits_float32
from wsreid.retrieval.scores import divide_rows, row_norms, scaled_rows
from wsreid.retrieval.thresholds import Edges, Thresholds


class QueryBlock:
    """Queries, their matches, and what is made of both once for all tiles.

    Args:
        query: All queries.
        start: The block's first.
        thresholds: The matches of the block's queries.
        metric: The similarity.
        memory: Bytes that its grids may take.
    """

    def __init__(self, query: FeatureTable, start: int, thresholds: Thresholds, metric: Metric, memory: int) -> None:
        self.query, self.start, self.thresholds, self.metric = query, start, thresholds, metric
        self.rows = len(thresholds.offset) - 1
        self._memory = memory
        self._lock = Lock()
        self._bound = self._zone = 0.0
        self._edges: Edges | None = None
        self._grid: Grid | None = None
        self._grid64: Grid | None = None
        self._rows64: Tensor | None = None
        rows = query.slice(start, start + self.rows)
        norms = row_norms(rows)
        self.longest = 1.0 if metric == "cosine" else float(norms.max())
        self.quick: Tensor | None = None
        if metric == "cosine":
            self.quick = divide_rows(rows, norms)
        elif fits_float32(norms):
            self.quick = rows.float()

    @property
    def rows64(self) -> Tensor:
        """The queries as exact scores take them, `(q, D)` float64."""
        with self._lock:
            if self._rows64 is None:
                mine = torch.arange(self.start, self.start + self.rows, device=self.query.device)
                self._rows64 = scaled_rows(self.query, mine, self.metric)[0]
            return self._rows64

    def edges(self, longest: float) -> Edges:
        """The zones in which a float32 score is in doubt.

        Args:
            longest: Greatest norm of the gallery rows.

        Returns:
            The zones; they are wide enough for all rows seen so far.
        """
        with self._lock:
            return self._edges_for(longest)

    def grid(self, longest: float) -> tuple[Edges, Grid]:
        """A grid over these zones, and the zones.

        Args:
            longest: Greatest norm of the gallery rows.

        Returns:
            Both, for float32 scores.
        """
        with self._lock:
            edges = self._edges_for(longest)
            if self._grid is None:
                self._grid = Grid(self.thresholds, edges.lower, edges.upper, self._memory // 4 * 3)
            return edges, self._grid

    def grid64(self, longest: float) -> tuple[float, Grid]:
        """The bound of a float64 product, and a grid whose zones are twice as wide.

        Args:
            longest: Greatest norm of the gallery rows.

        Returns:
            Both, for float64 scores.
        """
        bound = self.bound64(longest)
        with self._lock:
            if self._grid64 is None or 2 * bound > self._zone:
                self._zone = 2 * bound if self.metric == "cosine" else _power_of_two_above(2 * bound)
                edge = self.thresholds.scores
                self._grid64 = Grid(self.thresholds, edge - self._zone, edge + self._zone, self._memory // 4)
            return bound, self._grid64

    def bound64(self, longest: float) -> float:
        """How far a float64 product may lie from the exact score, with gallery rows of at most this norm."""
        return error_bound64(self.query.width, self.metric, self.longest, longest)

    def _edges_for(self, longest: float) -> Edges:
        if self.quick is None:
            raise ValueError("these queries have no float32 form")
        # a power of two: zones need not be made anew for each tile
        reach = 1.0 if self.metric == "cosine" else _power_of_two_above(longest)
        bound = error_bound(self.query.width, self.metric, self.longest, reach, block_of(self.quick))
        if self._edges is None or bound > self._bound:
            self._bound, self._edges, self._grid = bound, self.thresholds.edges(bound), None
        return self._edges


def _power_of_two_above(value: float) -> float:
    return math.ldexp(1.0, math.frexp(value)[1])
