"""k-reciprocal re-ranking on the sparse graph of nearest neighbours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from wsreid.errors import ConfigError, FeatureError
from wsreid.retrieval.checks import check_features, check_finite, check_similarity
from wsreid.retrieval.distances import Distances, check_metric
from wsreid.retrieval.features import Array, FeatureTable, Metric
from wsreid.retrieval.free_memory import free_memory
from wsreid.retrieval.jaccard import shared_weight
from wsreid.retrieval.neighbours import nearest
from wsreid.retrieval.reciprocal import expanded_sets, mean_of_nearest, weights
from wsreid.retrieval.rerank_settings import KReciprocal
from wsreid.retrieval.stacked import StackedTable

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Floats32 = np.ndarray[tuple[int, int], np.dtype[np.float32]]
Ints = np.ndarray[tuple[int], np.dtype[np.int64]]
Blocks = Iterator[tuple[int, int, Floats32]]


def memory_needed(n_query: int, n_gallery: int, width: int, settings: KReciprocal) -> int:
    """Estimates the bytes of the graph of nearest neighbours and its sparse matrices, features and blocks aside.

    Args:
        n_query: Q.
        n_gallery: G.
        width: D.
        settings: The sizes of the neighbourhoods.

    Returns:
        Bytes. Measured graphs took less; a graph with an unusual number of mutual neighbours may take more.
    """
    top = n_gallery if settings.top is None else settings.top
    nodes = n_query + min(n_gallery, n_query * min(top, n_gallery))
    lists = 48 * nodes * _list_length(settings)
    sets = 80 * nodes * 2 * settings.k1
    means = 40 * nodes * 2 * settings.k1 * settings.k2
    ranked = 48 * n_query * min(top, n_gallery) if top < n_gallery else 0
    return lists + sets + means + ranked + 64 * 64 * width


def check_rerank(settings: KReciprocal, metric: Metric, n_query: int, n_gallery: int, width: int) -> None:
    """Refuses what cannot work, before anything is computed.

    Args:
        settings: How to re-rank.
        metric: The similarity.
        n_query: Q.
        n_gallery: G.
        width: D.

    Raises:
        ConfigError: There is no such metric or it has no distance, or the graph does not fit the memory.
    """
    check_similarity(metric)
    check_metric(metric)
    needed = memory_needed(n_query, n_gallery, width, settings)
    free = free_memory() if settings.memory_mb is None else settings.memory_mb * 2**20
    if free is None or needed <= free:
        return
    given = "are free" if settings.memory_mb is None else "are allowed (memory_mb)"
    way = "a smaller top=K" if settings.top is not None else "top=K, which re-ranks each query's first K alone, say 200"
    raise ConfigError(
        f"re-ranking {n_query} queries against {n_gallery} images needs about {needed / 2**20:,.0f} MiB, and "
        f"{free / 2**20:,.0f} MiB {given}. Give {way}, or more memory."
    )


def reranked_distances(
    query: FeatureTable, gallery: FeatureTable, settings: KReciprocal, *, metric: Metric, memory: int
) -> Blocks:
    """Re-ranks: d* of each query to each gallery image (graph-model.md section 9).

    With `top`, the graph is that of the queries and of the union of their first `top` images alone, row maxima
    included; the last term's d is scaled by the query's maximum over all queries and the whole gallery. `top` >= G is
    the same as none.

    Args:
        query: Q rows.
        gallery: G rows.
        settings: How to re-rank.
        metric: `cosine` or `euclidean`; the order of the nearest is that of (d, row), d on the grid of `Distances`.
        memory: Bytes that the working arrays may take, the graph aside.

    Returns:
        Blocks `(start, stop, (stop - start, G) float32)` of query rows, in order; computed in float64 and rounded.
        Smaller is more alike. The numbers do not depend on `memory` or threads.

    Raises:
        ConfigError: The metric has no distance, or the graph does not fit the memory.
    """
    check_rerank(settings, metric, query.rows, gallery.rows, query.width)
    return _blocks(query, gallery, settings, metric, memory)


def rerank_distances(
    query: Array,
    gallery: Array,
    settings: KReciprocal | None = None,
    *,
    metric: Metric = "cosine",
    memory_mb: int = 512,
) -> Floats32:
    """The whole matrix d*, for those who want it; `evaluate(..., rerank=...)` needs no such matrix.

    The published function of torchreid squares the distances that it is given. It agrees with this one when it is
    given Euclidean distances; given its own squared ones it works on their fourth power.

    Args:
        query: `(Q, D)` features.
        gallery: `(G, D)` features.
        settings: How to re-rank; None = `KReciprocal()`.
        metric: `cosine` or `euclidean`.
        memory_mb: What the working arrays may take, graph and result aside.

    Returns:
        `(Q, G)` float32, smaller is more alike.

    Raises:
        FeatureError: The features cannot be compared.
        ConfigError: The metric has no distance, or the graph and the matrix do not fit the memory.
    """
    settings = KReciprocal() if settings is None else settings
    check_features(query, "query")
    check_features(gallery, "gallery")
    if query.shape[1] != gallery.shape[1]:
        raise FeatureError(f"query features have {query.shape[1]} dimensions, gallery features {gallery.shape[1]}.")
    cpu, memory = torch.device("cpu"), memory_mb * 2**20
    q, g = FeatureTable(query, cpu), FeatureTable(gallery, cpu)
    n_query, n_gallery = q.rows, g.rows
    check_rerank(settings, metric, n_query, n_gallery, q.width)
    free = free_memory() if settings.memory_mb is None else settings.memory_mb * 2**20
    needed = 4 * n_query * n_gallery + memory_needed(n_query, n_gallery, q.width, settings)
    if free is not None and needed > free:
        raise ConfigError(
            f"a matrix of {n_query} x {n_gallery} distances and its graph need about {needed / 2**20:,.0f} MiB, and "
            f"{free / 2**20:,.0f} MiB are there. Use evaluate(..., rerank=...), which needs no matrix."
        )
    check_finite(q, "query", memory=memory)
    check_finite(g, "gallery", memory=memory)
    result = np.empty((n_query, n_gallery), dtype=np.float32)
    for start, stop, block in reranked_distances(q, g, settings, metric=metric, memory=memory):
        result[start:stop] = block
    return result


def _list_length(settings: KReciprocal) -> int:
    return max(settings.k1 + 1, settings.k2)


def _blocks(query: FeatureTable, gallery: FeatureTable, settings: KReciprocal, metric: Metric, memory: int) -> Blocks:
    from scipy.sparse import csr_array

    distances = Distances(StackedTable(query, gallery), metric=metric, memory=memory // 2)
    n_query, n_gallery, device = query.rows, gallery.rows, query.device
    first, second = torch.arange(n_query, device=device), torch.arange(n_gallery, device=device) + n_query
    chosen: slice | Ints = slice(None)
    farthest = None
    if settings.top is not None and settings.top < n_gallery:
        seen = nearest(distances, first, second, settings.top)
        chosen = np.unique(seen.index)
        farthest = np.maximum(seen.farthest, nearest(distances, first, None, 1).farthest)
    nodes = torch.cat([first, second[chosen if isinstance(chosen, slice) else torch.from_numpy(chosen).to(device)]])
    v, near = _encodings(distances, nodes, settings)
    farthest = near if farthest is None else farthest
    scale = np.where(farthest > 0, farthest, 1.0)[:n_query, None]
    among, rows = csr_array(v[n_query:]), max(1, min(distances.side, memory // (64 * n_gallery)))
    for start, stop, shared in shared_weight(csr_array(v[:n_query]), among, rows=rows, memory=memory // 2):
        result = distances.block(first[start:stop], second).cpu().numpy()  # (b, G)
        result *= settings.lam / scale[start:stop]
        shared /= 2 - shared
        result += 1 - settings.lam
        result[:, chosen] -= (1 - settings.lam) * shared  # (b, U): 1 - d_J, which is 0 for all others
        yield start, stop, result.astype(np.float32)


def _encodings(
    distances: Distances, nodes: torch.Tensor, settings: KReciprocal
) -> tuple[csr_array[Any, tuple[int, int]], np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """The rows V of the nodes, `(N, N)`, and each node's greatest distance, `(N,)`."""
    found = nearest(distances, nodes, None, min(len(nodes), _list_length(settings)))
    sets = expanded_sets(found.index, settings.k1)
    v = weights(sets, found.farthest, distances, nodes)
    return mean_of_nearest(v, found.index, settings.k2), found.farthest
