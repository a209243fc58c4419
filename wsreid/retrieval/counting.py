"""Rank counting: how many gallery images score above each match, tile by tile, without a sort."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from threading import Event

import torch
from torch import Tensor

from wsreid.retrieval.doubts import KnownScores
from wsreid.retrieval.features import FeatureTable, Metric
from wsreid.retrieval.placing import Placing
from wsreid.retrieval.precision import full_float32
from wsreid.retrieval.query_block import QueryBlock
from wsreid.retrieval.scores import in_threads
from wsreid.retrieval.scratch import Scratch
from wsreid.retrieval.thresholds import Thresholds
from wsreid.retrieval.tiles import Tile, read_tile
from wsreid.retrieval.watching import begin

IN_BLOCK = {"cpu": 1024, "cpu_dense": 512, "other": 1024}  # queries that meet a tile at once
NARROW, BROAD = 2016, 8064  # columns of a tile on the CPU, whose scores then stay in the cache


class NonFiniteTileError(Exception):
    """The gallery holds NaN or inf; the caller finds out where."""


@dataclass(frozen=True)
class Counts:
    """What ranks are made of, one entry a match. Counts of disjoint galleries add up.

    Attributes:
        above: Images that score higher, `(M,)` long.
        tied: Images that score the same, `(M,)` long.
        rechecked: Pairs that a float32 product left open.
        doubled: Pairs that took a float64 matrix product.
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
    scored: KnownScores | None = None,
) -> Counts:
    """Counts the gallery images above and beside each threshold, whatever their identity.

    A float32 product decides all pairs that lie outside its error bound, a float64 one most others; what is left
    takes its exact score. So the counts are those of the exact scores, whatever the tiles, the threads or the order
    of the gallery. On the CPU each thread takes its own tiles.

    Args:
        query: Q rows.
        gallery: G rows.
        thresholds: Exact scores of the Q queries' matches. They need not lie in this gallery.
        metric: The similarity.
        memory: Bytes that the working arrays may take.
        known: Which gallery rows count, `(G,)` bool; None = all.
        scored: Exact scores that are there already; they are not computed again.

    Returns:
        Counts in the order of `thresholds.scores`.

    Raises:
        NonFiniteTileError: The gallery holds NaN or inf.
    """
    device = query.device
    if known is None:
        known = torch.ones(gallery.rows, dtype=torch.bool, device=device)
    workers = torch.get_num_threads() if device.type == "cpu" else 1
    held, in_block, columns = _tile_sizes(query, memory, len(thresholds.scores), workers)
    workers = min(workers, max(1, -(-gallery.rows // columns)))
    compared = int(known.sum())
    totals: list[Counts] = []
    step = begin("ranking", -(-query.rows // held) * -(-gallery.rows // columns))
    with full_float32(device):
        for first in range(0, query.rows, held):
            last = min(first + held, query.rows)
            starts = range(first, last, in_block)
            blocks = [
                QueryBlock(
                    query,
                    start,
                    thresholds.part(start, min(start + in_block, last)),
                    metric,
                    memory // 4 // len(starts),
                )
                for start in starts
            ]
            found = _count(blocks, gallery, known, scored, columns, workers, memory // workers, step)
            for block, placings in zip(blocks, zip(*found, strict=True), strict=True):
                totals.append(_block_counts(block, placings, compared))
    return Counts(
        torch.cat([t.above for t in totals]),
        torch.cat([t.tied for t in totals]),
        sum(t.rechecked for t in totals),
        sum(t.doubled for t in totals),
        sum(t.compared for t in totals),
    )


def _count(
    blocks: Sequence[QueryBlock],
    gallery: FeatureTable,
    known: Tensor,
    scored: KnownScores | None,
    columns: int,
    workers: int,
    memory: int,
    step: Callable[[], None],
) -> list[list[Placing]]:
    """Lets each thread place every `workers`-th tile: for each thread what it found, block by block."""
    failed = Event()
    found: list[list[Placing]] = [[] for _ in range(workers)]

    def work(worker: int) -> None:
        scratch = Scratch(gallery.device)
        placings = found[worker]
        placings += [Placing(block, gallery, memory, scratch, scored) for block in blocks]
        wanted = [placing for placing in placings if len(placing.block.thresholds.scores)]
        tiles = _tiles(gallery, known, columns, worker, workers, blocks[0].metric) if wanted else ()
        for tile in tiles:
            if failed.is_set():
                return
            if not tile.finite:
                raise NonFiniteTileError
            for placing in wanted:
                placing.add(tile)
            step()
        for placing in placings:
            placing.doubts.settle()

    def guarded(worker: int) -> None:
        try:
            with torch.no_grad():
                work(worker)
        except BaseException:
            failed.set()
            raise

    try:
        in_threads(guarded, range(workers))
    finally:
        failed.set()  # an interrupt reaches this thread alone: the others stop at their next tile
    return found


def _tiles(
    gallery: FeatureTable, known: Tensor, columns: int, worker: int, workers: int, metric: Metric
) -> Iterator[Tile]:
    buffer = torch.empty(columns, gallery.width, device=gallery.device)
    for start in range(worker * columns, gallery.rows, workers * columns):
        stop = min(start + columns, gallery.rows)
        if bool(known[start:stop].any()):
            yield read_tile(gallery, start, stop, known, metric, buffer)


def _block_counts(block: QueryBlock, placings: Sequence[Placing], compared: int) -> Counts:
    sums = [placing.sums() for placing in placings]
    passes, ties = (torch.stack(parts).sum(dim=0) for parts in zip(*sums, strict=True))  # (T, M + R) -> (M + R,)
    return Counts(
        *block.thresholds.counts(passes, ties),
        sum(placing.doubts.rechecked for placing in placings),
        sum(placing.doubled for placing in placings),
        compared * block.rows,
    )


def _tile_sizes(query: FeatureTable, memory: int, matches: int, workers: int) -> tuple[int, int, int]:
    """Queries held at once, queries in a block, gallery images in a tile."""
    width, cpu = query.width, query.device.type == "cpu"
    held = max(1, min(query.rows, memory // 4 // (12 * width)))  # float32, and float64 where it is called for
    dense = matches >= 64 * query.rows
    most = IN_BLOCK["cpu_dense" if cpu and dense else query.device.type if cpu else "other"]
    in_block = -(-held // -(-held // most))  # blocks of equal size
    # a gallery row: stored, float64, float32; a score: at most 16 bytes
    columns = min(memory // 4 // workers // (16 * width), memory // 4 // workers // (16 * in_block))
    return held, in_block, max(8, min(columns, (BROAD if dense else NARROW) if cpu else 2**16))
