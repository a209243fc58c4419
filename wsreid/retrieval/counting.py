"""Rank counting: how many gallery images score above each match, tile by tile, without a sort."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from wsreid.retrieval.features import FeatureTable, Metric
from wsreid.retrieval.placing import QueryBlock
from wsreid.retrieval.precision import full_float32
from wsreid.retrieval.scratch import Scratch
from wsreid.retrieval.thresholds import Thresholds
from wsreid.retrieval.tiles import LANES, Tile, read_tile

IN_BLOCK = 1024  # queries that meet a tile at once


class NonFiniteTileError(Exception):
    """The gallery holds NaN or inf; the caller finds out where."""


@dataclass(frozen=True)
class Counts:
    """What ranks are made of, one entry a match. Counts of disjoint galleries add up.

    Attributes:
        above: Images that score higher, `(M,)` long.
        tied: Images that score the same, `(M,)` long.
        rechecked: Pairs that took their exact score.
        doubled: Pairs that took a float64 product.
        compared: Pairs compared.
    """

    above: Tensor
    tied: Tensor
    rechecked: int = 0
    doubled: int = 0
    compared: int = 0

    def __add__(self, other: Counts) -> Counts:
        """The counts over both galleries."""
        return Counts(
            self.above + other.above,
            self.tied + other.tied,
            self.rechecked + other.rechecked,
            self.doubled + other.doubled,
            self.compared + other.compared,
        )

    def without(self, above: Tensor, tied: Tensor) -> Counts:
        """The counts less some images, given as theirs."""
        return Counts(self.above - above, self.tied - tied, self.rechecked, self.doubled, self.compared)


def count_better(
    query: FeatureTable,
    gallery: FeatureTable,
    thresholds: Thresholds,
    *,
    metric: Metric,
    memory: int,
    known: Tensor | None = None,
) -> Counts:
    """Counts the gallery images above and beside each threshold, whatever their identity.

    A float32 product decides all pairs that lie outside its error bound, a float64 product those of tiles in which
    they are many; the others take their exact score. So the counts are those of the exact scores, whatever the
    tiles, the threads or the order of the gallery.

    Args:
        query: Q rows.
        gallery: G rows.
        thresholds: Exact scores of the Q queries' matches. They need not lie in this gallery.
        metric: The similarity.
        memory: Bytes that the working arrays may take.
        known: Which gallery rows count, `(G,)` bool; None = all.

    Returns:
        Counts in the order of `thresholds.scores`.

    Raises:
        NonFiniteTileError: The gallery holds NaN or inf.
    """
    if known is None:
        known = torch.ones(gallery.rows, dtype=torch.bool, device=query.device)
    held, in_block, columns = _tile_sizes(query, memory, len(thresholds.scores))
    totals: list[Counts] = []
    scratch = Scratch(query.device)
    with torch.no_grad(), full_float32(query.device):
        for first in range(0, query.rows, held):
            last = min(first + held, query.rows)
            starts = range(first, last, in_block)
            blocks = [
                QueryBlock(
                    query,
                    gallery,
                    start,
                    thresholds.part(start, min(start + in_block, last)),
                    metric,
                    memory,
                    memory // 4 // len(starts),
                    scratch,
                )
                for start in starts
            ]
            wanted = [block for block in blocks if len(block.thresholds.scores)]
            for tile in _tiles(gallery, known, columns, metric) if wanted else ():
                if not tile.finite:
                    raise NonFiniteTileError
                for block in wanted:
                    block.add(tile)
            compared = int(known.sum())
            totals += [
                Counts(*block.counts(), block.rechecked, block.doubled, compared * block.rows) for block in blocks
            ]
    return Counts(
        torch.cat([t.above for t in totals]),
        torch.cat([t.tied for t in totals]),
        sum(t.rechecked for t in totals),
        sum(t.doubled for t in totals),
        sum(t.compared for t in totals),
    )


def _tiles(gallery: FeatureTable, known: Tensor, columns: int, metric: Metric) -> Iterator[Tile]:
    buffer = torch.empty(-(-columns // LANES) * LANES, gallery.width, device=gallery.device)
    for start in range(0, gallery.rows, columns):
        stop = min(start + columns, gallery.rows)
        if bool(known[start:stop].any()):
            yield read_tile(gallery, start, stop, known, metric, buffer)


def _tile_sizes(query: FeatureTable, memory: int, matches: int) -> tuple[int, int, int]:
    """Queries held at once, queries in a block, gallery images in a tile."""
    width = query.width
    held = max(1, min(query.rows, memory // 4 // (12 * width)))  # float32, and float64 where it is called for
    in_block = min(held, IN_BLOCK)
    # a gallery row: stored, float64, float32; a score: at most 16 bytes
    columns = min(memory // 4 // (16 * width), memory // 4 // (16 * in_block))
    most = 2**16
    if query.device.type == "cpu":  # a tile of scores stays in the cache, unless a large table is to be looked up in
        most = 2040 if matches < 64 * query.rows else 8160
    return held, in_block, max(LANES, min(columns, most) // LANES * LANES)
