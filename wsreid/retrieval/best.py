"""The best k of scored pairs: highest score first, equal scores by gallery row."""

from __future__ import annotations

import numpy as np
import torch

from wsreid.retrieval.features import FeatureTable, Metric
from wsreid.retrieval.junk import Ints, Pairs
from wsreid.retrieval.scores import pair_scores

Lists = np.ndarray[tuple[int, int], np.dtype[np.int64]]
Scores = np.ndarray[tuple[int, int], np.dtype[np.float64]]
Floats = np.ndarray[tuple[int], np.dtype[np.float64]]


def best_first(query: Ints, row: Ints, score: Floats, n_query: int, k: int) -> tuple[Lists, Scores]:
    """Sorts scored pairs into lists.

    Args:
        query: Query of each pair, `(P,)`.
        row: Its gallery row, `(P,)`.
        score: Its exact score, `(P,)`.
        n_query: Number Q of queries.
        k: Length of the lists.

    Returns:
        Gallery rows `(Q, k)`, -1 where a query has fewer, and their scores `(Q, k)`, there -inf.
    """
    order = np.lexsort((row, -score, query))
    counts = np.bincount(query, minlength=n_query)
    place = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    order, place = order[place < k], place[place < k]
    lists = np.full((n_query, k), -1, dtype=np.int64)
    scores = np.full((n_query, k), -np.inf)
    lists[query[order], place] = row[order]
    scores[query[order], place] = score[order]
    return lists, scores


def without_junk(
    query: Ints, row: Ints, pairs: Pairs | None, n_gallery: int
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which of the pairs `(P,)` are not junk, `(P,)` bool."""
    if pairs is None or not pairs.junk.any():
        return np.ones(len(query), dtype=np.bool_)
    taken = pairs.query[pairs.junk] * n_gallery + pairs.gallery[pairs.junk]  # ascending, as pairs are
    keys = query * n_gallery + row
    nearest = taken[np.searchsorted(taken, keys).clip(max=len(taken) - 1)]
    return np.asarray(nearest != keys)


def most_junk(pairs: Pairs | None) -> int:
    """The greatest number of junk images that one query has."""
    if pairs is None or not pairs.junk.any():
        return 0
    return int(np.bincount(pairs.query[pairs.junk]).max())


def sorted_exactly(
    query: FeatureTable,
    gallery: FeatureTable,
    found: Lists,
    pairs: Pairs | None,
    k: int,
    *,
    metric: Metric,
    memory: int,
) -> tuple[Lists, Scores]:
    """Takes proposed lists in the order of their exact scores, without junk.

    Args:
        query: Q rows.
        gallery: G rows.
        found: Proposed gallery rows in any order, `(Q, n)`; -1 = none.
        pairs: The pairs of one identity, of which the junk ones are left out; None = nothing is.
        k: Length of the lists.
        metric: The similarity.
        memory: Bytes that the working arrays may take.

    Returns:
        As `best_first`.
    """
    row, place = np.nonzero(found >= 0)
    column = found[row, place]
    keep = without_junk(row, column, pairs, gallery.rows)
    row, column = row[keep], column[keep]
    qi, gi = (torch.from_numpy(x).to(query.device) for x in (row, column))
    score = pair_scores(query, gallery, qi, gi, metric=metric, memory=memory).cpu().numpy()
    return best_first(row, column, score, query.rows, k)
