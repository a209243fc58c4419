"""From the ranks of a query's matches to CMC, average precision and inverse negative penalty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Floats = np.ndarray[tuple[int], np.dtype[np.float64]]


@dataclass(frozen=True, eq=False)
class QueryFigures:
    """One figure a query; NaN where a query has no match.

    Attributes:
        first: 0-based rank of the first match, `(Q,)`.
        ap_step: Average precision by steps, `(Q,)`.
        ap_trapezoid: Average precision by trapezoids, `(Q,)`.
        inp: Inverse negative penalty, `(Q,)`.
    """

    first: Floats
    ap_step: Floats
    ap_trapezoid: Floats
    inp: Floats


def query_figures(ranks: Sequence[Floats]) -> QueryFigures:
    """Scores each query by the ranks of its matches (graph-model.md section 9).

    With r_i the 0-based rank of the i-th of G matches, junk removed:
    step AP = (1/G) sum (i+1)/(r_i+1), as in torchreid and fast-reid;
    trapezoid AP = (1/G) sum 1/2 [(i+1)/(r_i+1) + (i/r_i if r_i > 0 else 1)], as in Market-1501's Matlab and SYSU-30k;
    INP = G / (r_last + 1) (Ye et al., "Deep Learning for Person Re-identification: A Survey and Outlook").

    Args:
        ranks: One ascending array `(G_q,)` a query, possibly empty. Ranks of ties may be fractions.

    Returns:
        The four figures of each query.
    """
    count = np.array([len(r) for r in ranks], dtype=np.int64)  # (Q,)
    figures = [np.full(len(ranks), np.nan) for _ in range(4)]
    valid = count > 0
    if valid.any():
        r = np.concatenate([np.asarray(x, dtype=np.float64) for x in ranks])  # (M,)
        start = (np.cumsum(count) - count)[valid]  # (V,)
        number = count[valid]
        i = np.arange(len(r)) - np.repeat(start, number)  # (M,)
        after = (i + 1) / (r + 1)
        before = np.where(r > 0, i / np.where(r > 0, r, 1), 1)
        figures[0][valid] = r[start]
        figures[1][valid] = np.add.reduceat(after, start) / number
        figures[2][valid] = np.add.reduceat((after + before) / 2, start) / number
        figures[3][valid] = number / (r[start + number - 1] + 1)
    return QueryFigures(*figures)


def cumulative_matches(first: Floats, max_rank: int, *, over: int) -> Floats:
    """The CMC curve: the share of queries whose first match has rank k or better, k = 1..max_rank.

    Args:
        first: 0-based rank of the first match, `(Q,)`; NaN = no match, never a hit.
        max_rank: Length of the curve; it may exceed the gallery.
        over: Number of queries that the share is taken of.

    Returns:
        `(max_rank,)` float64.
    """
    found = np.sort(first[~np.isnan(first)])
    return np.searchsorted(found, np.arange(max_rank, dtype=np.float64), side="right") / over
