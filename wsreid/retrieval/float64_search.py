"""The best k gallery images where float32 cannot tell: of collapsed networks, and of equal or nearly equal images."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from wsreid.retrieval.best import Floats, Lists, Scores, best_first, without_junk
from wsreid.retrieval.features import FeatureTable, Metric
from wsreid.retrieval.junk import Ints, Pairs
from wsreid.retrieval.scores import pair_scores, scaled_rows


def decide(
    query: FeatureTable,
    gallery: FeatureTable,
    rows: Ints,
    chosen: Ints,
    floor: Floats,
    k: int,
    metric: Metric,
    memory: int,
    pairs: Pairs | None,
) -> tuple[Lists, Scores]:
    """The best k of some queries, decided by float64 products and, within their error bound, by exact scores.

    Args:
        query: Q rows.
        gallery: G rows.
        rows: The gallery rows that may be listed.
        chosen: The queries, `(q,)`.
        floor: A score that k allowed images of each query reach, `(q,)`.
        k: Length of the lists.
        metric: The similarity.
        memory: Bytes that the working arrays may take.
        pairs: Junk is left out.

    Returns:
        Lists and scores, `(q, k)`.
    """
    lists, scores = np.full((len(chosen), k), -1, dtype=np.int64), np.full((len(chosen), k), -np.inf)
    width, device = query.width, query.device
    step = max(1, memory // 4 // (32 * width))
    queries = max(1, memory // 4 // (24 * width + 80 * step))
    for start in range(0, gallery.rows, step):
        here = rows[np.searchsorted(rows, start) : np.searchsorted(rows, start + step)]
        if len(here) == 0:
            continue
        g, g_square = scaled_rows(gallery, torch.from_numpy(here).to(device), metric)  # (g, D), (g,)
        same = _first_equal(g)
        for q0 in range(0, len(chosen), queries):
            part = slice(q0, q0 + queries)
            mine = chosen[part]
            q, _ = scaled_rows(query, torch.from_numpy(mine).to(device), metric)  # (q, D)
            full = lists[part, -1] >= 0
            least = np.where(full, np.maximum(scores[part, -1], floor[part]), floor[part])
            likely = _may_reach(q, g, g_square, torch.from_numpy(least).to(device), metric)
            at, column = (x.cpu().numpy() for x in torch.nonzero(likely, as_tuple=True))
            keep = without_junk(mine[at], here[column], pairs, gallery.rows)
            at, column = at[keep], column[keep]
            score = _scores_of_distinct(query, gallery, mine, here, at, same[column], metric, memory)
            # an equal score of a later row comes too late for a full list
            keep = np.where(full[at], score > least[at], score >= least[at])
            at, row, score = at[keep], here[column[keep]], score[keep]
            old, place = np.nonzero(lists[part] >= 0)
            lists[part], scores[part] = best_first(
                np.concatenate([old, at]),
                np.concatenate([lists[part][old, place], row]),
                np.concatenate([scores[part][old, place], score]),
                len(mine),
                k,
            )
    return lists, scores


def _may_reach(q: Tensor, g: Tensor, g_square: Tensor, least: Tensor, metric: Metric) -> Tensor:
    """Which float64 scores may be `least` `(q,)` or more, `(q, g)` bool."""
    values = q @ g.T  # (q, D), (g, D) -> (q, g)
    norms = torch.linalg.vector_norm(q, dim=1), torch.linalg.vector_norm(g, dim=1)
    error = (q.shape[1] + 8) * 2.0**-52 * norms[0] * norms[1].max()  # (q,)
    if metric == "euclidean":
        values = 2 * values - g_square
        error = 2 * error + 2.0**-50 * (norms[1].max().square() + norms[0] * norms[1].max())
    reached: Tensor = values >= (least - error)[:, None]
    return reached


def _first_equal(rows: Tensor) -> Ints:
    """For each row `(n, D)` the first that holds the same numbers, `(n,)`."""
    raw = np.ascontiguousarray(rows.cpu().numpy() + 0.0)  # + 0: the two zeros are equal numbers
    keys = raw.view(np.dtype((np.void, raw.shape[1] * raw.itemsize)))[:, 0]
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    return np.asarray(first[inverse], dtype=np.int64)


def _scores_of_distinct(
    query: FeatureTable,
    gallery: FeatureTable,
    chosen: Ints,
    here: Ints,
    at: Ints,
    column: Ints,
    metric: Metric,
    memory: int,
) -> Floats:
    """Exact scores of pairs of places, `(P,)`; equal images are computed once."""
    keys, inverse = np.unique(at * len(here) + column, return_inverse=True)
    qi, gi = chosen[keys // len(here)], here[keys % len(here)]
    score = pair_scores(
        query,
        gallery,
        torch.from_numpy(qi).to(query.device),
        torch.from_numpy(gi).to(query.device),
        metric=metric,
        memory=memory // 4,
    )
    return np.asarray(score.cpu().numpy()[inverse])
