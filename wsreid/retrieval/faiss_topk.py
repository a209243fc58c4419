"""The best k gallery images of each query. Lists for pictures and graphs, never for a metric."""

from __future__ import annotations

import logging

import numpy as np
import torch

from wsreid.errors import FeatureError
from wsreid.retrieval.best import Lists, Scores, most_junk, sorted_exactly
from wsreid.retrieval.checks import check_features, check_finite, check_similarity
from wsreid.retrieval.exact_search import nearest
from wsreid.retrieval.features import Features, FeatureTable, Metric
from wsreid.retrieval.junk import Pairs
from wsreid.retrieval.search_rows import squared_norms
from wsreid.retrieval.search_settings import SearchSettings

_log = logging.getLogger(__name__)
RECALL_QUERIES = 100  # an exact search for all queries would cost more than the index saves


def topk(
    query: Features, gallery: Features, k: int, metric: Metric = "cosine", *, memory_mb: int = 512
) -> tuple[Scores, Lists]:
    """Finds the nearest gallery images, nothing removed.

    Args:
        query: `(Q, D)`.
        gallery: `(G, D)`.
        k: Length of the lists; at most G.
        metric: The similarity.
        memory_mb: Working memory, features and lists aside.

    Returns:
        Scores `(Q, k)` float64, best first (cosine, dot product, or Euclidean distance), and gallery rows `(Q, k)`
        int64. Equal scores stand in the order of the gallery.

    Raises:
        FeatureError: The features cannot be ranked, or the gallery has fewer than k rows.
        ConfigError: There is no such metric.
    """
    check_similarity(metric)
    check_features(query, "query")
    check_features(gallery, "gallery")
    if query.shape[1] != gallery.shape[1]:
        raise FeatureError(f"query features have {query.shape[1]} dimensions, gallery features {gallery.shape[1]}.")
    if not 1 <= k <= gallery.shape[0]:
        raise FeatureError(f"k={k}: expected 1 to {gallery.shape[0]}, the size of the gallery.")
    memory, cpu = memory_mb * 2**20, torch.device("cpu")
    q, g = FeatureTable(query, cpu), FeatureTable(gallery, cpu)
    check_finite(q, "query", memory=memory)
    check_finite(g, "gallery", memory=memory)
    lists, scores = nearest(q, g, np.arange(g.rows), k, metric=metric, memory=memory)
    return as_reported(scores, q, metric, memory=memory), lists


def as_reported(scores: Scores, query: FeatureTable, metric: Metric, *, memory: int) -> Scores:
    """Exact scores `(Q, k)` of Q queries as users read them: Euclidean ones as distances."""
    if metric != "euclidean":
        return scores
    distances: Scores = np.sqrt((squared_norms(query, memory=memory)[:, None] - scores).clip(min=0))
    return distances


def ranked_lists(
    query: FeatureTable,
    gallery: FeatureTable,
    g_known: np.ndarray[tuple[int], np.dtype[np.bool_]],
    pairs: Pairs,
    k: int,
    *,
    metric: Metric,
    settings: SearchSettings,
    memory: int,
) -> tuple[Lists, float | None]:
    """Finds the best k gallery images of each query with its junk removed, in the order of their exact scores.

    Args:
        query: Q rows.
        gallery: G rows.
        g_known: Which gallery rows may be listed, `(G,)` bool: those of a known identity.
        pairs: The pairs of one identity; those that are junk do not appear.
        k: Length of the lists.
        metric: The similarity.
        settings: How they are found.
        memory: Bytes that the working arrays may take, lists and an approximate index aside.

    Returns:
        Gallery rows, best first, `(Q, k)` int64, -1 where a query has fewer or the index finds no more; and, where an
        approximate index was used, its recall on up to 100 queries (`recall_of`), else None.
    """
    rows = np.flatnonzero(g_known)
    if settings.kind == "exact" or len(rows) == 0:
        return nearest(query, gallery, rows, k, metric=metric, memory=memory, pairs=pairs)[0], None
    from wsreid.retrieval.index import SearchIndex

    extra = most_junk(pairs)
    with SearchIndex.build(gallery, metric, settings, memory_mb=max(1, memory // 2**20), rows=rows) as index:
        found = index.propose(query, k, extra)
    lists, scores = sorted_exactly(query, gallery, found, pairs, k, metric=metric, memory=memory)

    sample = recall_sample(query.rows)
    few = FeatureTable(query.pick(torch.from_numpy(sample).to(query.device)), query.device)  # (q, D)
    _, exact = nearest(few, gallery, rows, k, metric=metric, memory=memory, pairs=_pairs_of(pairs, sample))
    recall = recall_of(scores[sample], exact)
    _log.info("index %s: recall@%d %.4f against exact search, on %d queries.", settings.kind, k, recall, len(sample))
    return lists, recall


def recall_sample(n_query: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Up to 100 queries, evenly spaced."""
    return np.unique(np.linspace(0, n_query - 1, min(n_query, RECALL_QUERIES)).round().astype(np.int64))


def recall_of(scores: Scores, exact: Scores) -> float:
    """Share of the exact lists that an index finds; an image that ties with the last one of a list counts as found.

    Args:
        scores: Exact scores of the images that the index lists, `(Q, k)`, best first, -inf where it has none.
        exact: Those of the exact lists, `(Q, k)`.

    Returns:
        Over the filled places of all lists; 1 if there are none.
    """
    filled = np.isfinite(exact)
    last = np.where(filled, exact, np.inf).min(axis=1, keepdims=True)  # (Q, k) -> (Q, 1)
    return float((np.isfinite(scores) & (scores >= last)).sum() / filled.sum()) if filled.any() else 1.0


def _pairs_of(pairs: Pairs, chosen: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Pairs:
    """The pairs of some queries, numbered anew."""
    place = np.searchsorted(chosen, pairs.query).clip(max=len(chosen) - 1)
    mine = chosen[place] == pairs.query
    return Pairs(place[mine], pairs.gallery[mine], pairs.junk[mine])
