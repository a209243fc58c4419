"""The best k gallery images of each query, found by FAISS. Lists for pictures and graphs, never for a metric."""

from __future__ import annotations

import numpy as np
import torch

from wsreid.errors import FeatureError
from wsreid.retrieval.checks import check_features, squared_norms
from wsreid.retrieval.features import Array, FeatureTable, Metric, ScaledFeatures, exact_scores, scale_rows
from wsreid.retrieval.junk import UNKNOWN, Ints, Pairs

Floats32 = np.ndarray[tuple[int, int], np.dtype[np.float32]]
Lists = np.ndarray[tuple[int, int], np.dtype[np.int64]]


def topk(
    query: Array, gallery: Array, k: int, metric: Metric = "cosine", *, memory_mb: int = 512
) -> tuple[np.ndarray[tuple[int, int], np.dtype[np.float64]], Lists]:
    """Finds the nearest gallery images, nothing removed.

    Args:
        query: `(Q, D)`.
        gallery: `(G, D)`.
        k: Length of the lists; at most G.
        metric: The similarity.
        memory_mb: Working memory, features aside.

    Returns:
        Scores `(Q, k)` float64, best first (cosine, dot product, or Euclidean distance), and gallery rows `(Q, k)`
        int64. Equal scores stand in the order of the gallery where FAISS returns them all.

    Raises:
        FeatureError: The features cannot be ranked, or the gallery has fewer than k rows.
    """
    check_features(query, "query")
    check_features(gallery, "gallery")
    if query.shape[1] != gallery.shape[1]:
        raise FeatureError(f"query features have {query.shape[1]} dimensions, gallery features {gallery.shape[1]}.")
    if not 1 <= k <= gallery.shape[0]:
        raise FeatureError(f"k={k}: expected 1 to {gallery.shape[0]}, the size of the gallery.")
    memory, cpu = memory_mb * 2**20, torch.device("cpu")
    tables = FeatureTable(query, cpu), FeatureTable(gallery, cpu)
    squares = squared_norms(tables[0], "query", memory=memory), squared_norms(tables[1], "gallery", memory=memory)
    q, g = scale_rows(*tables, *squares, metric=metric)
    everything = np.arange(g.table.rows)
    lists, scores = _sorted_exactly(q, g, _search(q, g, everything, k, metric, memory), k, metric, memory)
    if metric == "euclidean":
        distance = (q.square[:, None].numpy() - scores).clip(min=0)
        return np.sqrt(distance) * float(g.scale[0]), lists
    if metric == "dot":
        scores = scores * (q.scale[:, None].numpy() * float(g.scale[0]))
    return scores, lists


def ranked_lists(
    query: ScaledFeatures,
    gallery: ScaledFeatures,
    g_pid: Ints,
    pairs: Pairs,
    k: int,
    *,
    metric: Metric,
    memory: int,
) -> Lists:
    """Finds the best k gallery images of each query with its junk removed.

    Args:
        query: Q rows.
        gallery: G rows.
        g_pid: Identities, `(G,)`; -1 appears in no list.
        pairs: The pairs of one identity; those that are junk do not appear either.
        k: Length of the lists.
        metric: The similarity.
        memory: Bytes that the working arrays may take.

    Returns:
        Gallery rows, best first, `(Q, k)` int64; -1 where a query has fewer.
    """
    shown = np.flatnonzero(g_pid != UNKNOWN)
    junk_query, junk_gallery = pairs.query[pairs.junk], pairs.gallery[pairs.junk]
    extra = int(np.bincount(junk_query, minlength=1).max()) if len(junk_query) else 0
    found = _search(query, gallery, shown, min(k + extra, len(shown)), metric, memory)  # (Q, k + extra)
    taken = junk_query * gallery.table.rows + junk_gallery
    keys = np.arange(len(found))[:, None] * gallery.table.rows + found
    found[np.isin(keys, taken)] = -1
    lists, _ = _sorted_exactly(query, gallery, found, k, metric, memory)
    return lists


def _search(query: ScaledFeatures, gallery: ScaledFeatures, rows: Ints, k: int, metric: Metric, memory: int) -> Lists:
    """Rows of the k best among `rows`, `(Q, k)`: a flat FAISS index for each part of the gallery, merged."""
    import faiss

    width = query.table.width
    q = query.approximate(0, query.table.rows).cpu().numpy()  # (Q, D)
    best = np.full((len(q), 0), -np.inf, dtype=np.float32)
    found = np.full((len(q), 0), -1, dtype=np.int64)
    step = max(1, memory // 2 // (20 * width))
    for start in range(0, gallery.table.rows, step):
        stop = min(start + step, gallery.table.rows)
        here = rows[np.searchsorted(rows, start) : np.searchsorted(rows, stop)]
        if len(here) == 0:
            continue
        g = gallery.approximate(start, stop).cpu().numpy()[here - start]  # (g, D)
        index = faiss.IndexFlatL2(width) if metric == "euclidean" else faiss.IndexFlatIP(width)
        index.add(g)
        scores, column = index.search(q, min(k, len(here)))
        best = np.concatenate([best, -scores if metric == "euclidean" else scores], axis=1)
        found = np.concatenate([found, here[column]], axis=1)
        keep = np.argsort(-best, axis=1, kind="stable")[:, :k]
        best, found = np.take_along_axis(best, keep, axis=1), np.take_along_axis(found, keep, axis=1)
    return found


def _sorted_exactly(
    query: ScaledFeatures, gallery: ScaledFeatures, found: Lists, k: int, metric: Metric, memory: int
) -> tuple[Lists, np.ndarray[tuple[int, int], np.dtype[np.float64]]]:
    """Sorts lists by exact score, ties by gallery row, -1 last, and cuts or fills them to k."""
    row, place = np.nonzero(found >= 0)
    device = query.table.device
    qi, gi = (torch.from_numpy(x).to(device) for x in (row, found[row, place]))
    scores = np.full(found.shape, -np.inf)
    scores[row, place] = exact_scores(query, gallery, qi, gi, metric=metric, memory=memory).cpu().numpy()
    order = np.lexsort((found, -scores), axis=1)[:, :k]
    lists = np.full((len(found), k), -1, dtype=np.int64)
    sorted_scores = np.full((len(found), k), -np.inf)
    lists[:, : order.shape[1]] = np.take_along_axis(found, order, axis=1)
    sorted_scores[:, : order.shape[1]] = np.take_along_axis(scores, order, axis=1)
    return lists, sorted_scores
