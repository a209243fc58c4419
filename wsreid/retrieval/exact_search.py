"""The exact best k gallery images of each query, tile by tile.

A float32 search proposes a few more images than are asked for. Where its error bound leaves open whether an image was
missed, the query is decided in float64. So lists depend neither on tiles nor on threads, and equal images stand in
the order of the gallery.
"""

from __future__ import annotations

import logging
from functools import cache

import numpy as np
import torch
from torch import Tensor

from wsreid.retrieval.best import Floats, Lists, Scores, most_junk, sorted_exactly
from wsreid.retrieval.faiss_library import HINT, faiss_or_none
from wsreid.retrieval.features import FeatureTable, Metric
from wsreid.retrieval.float64_search import decide
from wsreid.retrieval.junk import Ints, Pairs
from wsreid.retrieval.precision import full_float32
from wsreid.retrieval.search_rows import SearchRows, gallery_rows, query_rows, squared_norms

_log = logging.getLogger(__name__)
MARGIN = 32  # images proposed beyond k, so that few queries are left open


def nearest(
    query: FeatureTable,
    gallery: FeatureTable,
    rows: Ints,
    k: int,
    *,
    metric: Metric,
    memory: int,
    pairs: Pairs | None = None,
) -> tuple[Lists, Scores]:
    """Finds each query's best k gallery images by exact score.

    Args:
        query: Q rows.
        gallery: G rows.
        rows: The gallery rows that may be listed, `(n,)`, ascending.
        k: Length of the lists.
        metric: The similarity.
        memory: Bytes that the working arrays may take, the lists aside.
        pairs: The pairs of one identity, of which the junk ones are not listed; None = nothing is left out.

    Returns:
        Gallery rows `(Q, k)`, best first, equal scores by row, -1 where there are fewer; and their exact scores
        `(Q, k)` float64 (`pair_scores`), there -inf.
    """
    if len(rows) == 0:
        return np.full((query.rows, k), -1, dtype=np.int64), np.full((query.rows, k), -np.inf)
    scaled = gallery_rows(gallery, metric, memory=memory)
    wanted = min(k + most_junk(pairs) + max(MARGIN, k // 4), len(rows))
    found, last = _propose(query, scaled, rows, wanted, metric, memory)
    lists, scores = sorted_exactly(query, gallery, found, pairs, k, metric=metric, memory=memory)
    if wanted == len(rows):
        return lists, scores
    open_queries = np.flatnonzero(_in_search_units(query, scaled.scale or 1.0, scores[:, -1], metric, memory) <= last)
    if len(open_queries):
        _log.debug("%d of %d queries take a float64 search.", len(open_queries), query.rows)
        lists[open_queries], scores[open_queries] = decide(
            query, gallery, rows, open_queries, scores[open_queries, -1], k, metric, memory, pairs
        )
    return lists, scores


def _propose(
    query: FeatureTable, scaled: SearchRows, rows: Ints, k: int, metric: Metric, memory: int
) -> tuple[Lists, Floats]:
    """The best k by float32 score, `(Q, k)`, and a bound on the others' scores `(Q,)`, scaled as the search."""
    width, device = query.width, query.device
    gallery, asked = scaled.table, query_rows(query, scaled.scale, metric)
    best = torch.full((query.rows, k), -torch.inf, device=device)
    found = torch.full((query.rows, k), -1, dtype=torch.int64, device=device)
    norms = torch.empty(query.rows, dtype=torch.float64, device=device)
    step = max(1, memory // 2 // (20 * width))
    queries = max(1, memory // 4 // (8 * width + 16 * k + (0 if _search_by_faiss(device.type) else 4 * step)))
    with torch.no_grad(), full_float32(device):
        for start in range(0, gallery.rows, step):
            stop = min(start + step, gallery.rows)
            here = rows[np.searchsorted(rows, start) : np.searchsorted(rows, stop)]
            if len(here) == 0:
                continue
            names = torch.from_numpy(here).to(device)
            g = scaled.slice(start, stop)  # (g, D)
            if len(here) < len(g):
                g = g[names - start]
            for q0 in range(0, query.rows, queries):
                q = asked.slice(q0, min(q0 + queries, query.rows))  # (q, D)
                part = slice(q0, q0 + len(q))
                norms[part] = torch.linalg.vector_norm(q.double(), dim=1)
                value, column = _tile_best(q, g, min(k, len(g)), metric)  # (q, k')
                value = torch.cat([best[part], value], dim=1)
                column = torch.cat([found[part], names[column]], dim=1)
                best[part], kept = value.topk(k, dim=1)  # (q, k + k') -> (q, k)
                found[part] = column.gather(1, kept)
    bound = search_error(width, metric, norms)
    return found.cpu().numpy(), (best[:, -1].double() + bound).cpu().numpy()


def search_error(width: int, metric: Metric, norms: Tensor) -> Tensor:
    """How far a float32 score of a search may lie from the exact one, whatever the order of its additions.

    A sum of D products errs by D u |q||g| (u = 2^-24; Higham, "Accuracy and Stability of Numerical Algorithms",
    eq. 3.5), each scaled entry by two roundings; 1 % pays for second-order terms, 1e-12 for the float64 score.

    Args:
        width: Dimension D.
        metric: `euclidean` compares squared distances, whose terms add up to (|q| + |g|)^2.
        norms: Norms of the scaled query rows, `(Q,)` float64; gallery rows have norm 1 at most.

    Returns:
        The bound of each query, `(Q,)` float64.
    """
    unit = (width + 12) * 2.0**-24 * 1.01
    size = (norms + 1).square() if metric == "euclidean" else norms.clamp(min=1)
    return unit * size + 1e-12 * size


def _tile_best(q: Tensor, g: Tensor, k: int, metric: Metric) -> tuple[Tensor, Tensor]:
    """Best k columns of a tile, `(q, k)`, with their scores: products, or minus the squared distances."""
    faiss = faiss_or_none() if _search_by_faiss(q.device.type) else None
    if faiss is not None:
        kind = faiss.METRIC_L2 if metric == "euclidean" else faiss.METRIC_INNER_PRODUCT
        values, columns = faiss.knn(q.numpy(), g.numpy(), k, metric=kind)
        value, column = torch.from_numpy(values), torch.from_numpy(columns)
        return (-value if metric == "euclidean" else value), column
    if q.device.type == "cpu":  # no branch: GPU
        _warn_without_faiss()
    scores = q @ g.T  # (q, D), (g, D) -> (q, g)
    if metric == "euclidean":
        scores = 2 * scores - g.square().sum(1) - q.square().sum(1, keepdim=True)
    best = scores.topk(k, dim=1)
    return best.values, best.indices


def _search_by_faiss(device_type: str) -> bool:
    """On the CPU FAISS selects the best while it multiplies; on the GPU torch does, for lists of any length."""
    return device_type == "cpu" and faiss_or_none() is not None


@cache
def _warn_without_faiss() -> None:
    _log.warning("FAISS is not installed: ranked lists are found by torch.topk, which takes longer. %s", HINT)


def _in_search_units(query: FeatureTable, scale: float, scores: Floats, metric: Metric, memory: int) -> Floats:
    """Exact scores `(Q,)`, one a query, in the units of a float32 search of a gallery divided by `scale`."""
    if metric == "cosine":
        return scores
    squares = squared_norms(query, memory=memory)
    if metric == "dot":
        return np.asarray(scores / (np.where(squares > 0, np.sqrt(squares), 1.0) * scale))
    return np.asarray((scores - squares) / scale / scale)
