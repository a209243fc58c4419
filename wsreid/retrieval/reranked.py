"""Ranks and lists by re-ranked distances."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from wsreid.retrieval.best import Lists
from wsreid.retrieval.checks import check_finite
from wsreid.retrieval.distance_ranks import counts_of_distances
from wsreid.retrieval.features import Metric
from wsreid.retrieval.inputs import Inputs
from wsreid.retrieval.junk import UNKNOWN, Pairs
from wsreid.retrieval.metrics import Floats
from wsreid.retrieval.rerank import reranked_distances
from wsreid.retrieval.rerank_settings import KReciprocal


def reranked_ranks(
    given: Inputs,
    pairs: Pairs,
    settings: KReciprocal,
    *,
    metric: Metric,
    share: float,
    topk: int | None,
    memory: int,
) -> tuple[tuple[Floats, ...], int, Lists | None]:
    """Ranks each query's matches by d*, and lists its best gallery images.

    Args:
        given: What is ranked.
        pairs: The pairs of one identity.
        settings: How to re-rank.
        metric: The similarity.
        share: Share of the tied non-matches that goes before a match.
        topk: Length of the lists; None = none.
        memory: Bytes that the working arrays may take.

    Returns:
        The ascending 0-based ranks of each query's matches, the number of tied matches, and the names of the best
        gallery images, `(Q, topk)`, junk removed, -1 where there are fewer.

    Raises:
        NonFiniteFeaturesError: Features hold NaN or inf, or their squares do not fit float64.
        ConfigError: The metric has no distance, or the graph does not fit the memory.
    """
    check_finite(given.query, "query", memory=memory)
    check_finite(given.gallery, "gallery", memory=memory)
    known = given.g_pid != UNKNOWN
    blocks = reranked_distances(given.query, given.gallery, settings, metric=metric, memory=memory)
    if topk is None:
        return *counts_of_distances(blocks, pairs, known, share=share), None
    lists = np.full((given.query.rows, topk), -1, dtype=np.int64)

    def listed() -> Iterator[tuple[int, int, np.ndarray[tuple[int, int], np.dtype[np.float32]]]]:
        for start, stop, block in blocks:
            for n, row in enumerate(block):
                mine = slice(*np.searchsorted(pairs.query, [start + n, start + n + 1]))
                shown = known.copy()
                shown[pairs.gallery[mine][pairs.junk[mine]]] = False
                rows = np.flatnonzero(shown)
                kept = min(topk, len(rows))
                if kept:
                    last = np.partition(row[rows], kept - 1)[kept - 1]
                    rows = rows[row[rows] <= last]  # ties with the last one go by gallery row
                    best = rows[np.argsort(row[rows], kind="stable")[:kept]]
                    lists[start + n, :kept] = given.gallery_row[best]
            yield start, stop, block

    return *counts_of_distances(listed(), pairs, known, share=share), lists
