"""Which queries of a test a report shows, where it cannot show all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def chosen_queries(scores: Sequence[NDArray[np.float64]], most: int) -> NDArray[np.int64]:
    """Chooses the queries on which the runs do worst, and others evenly spread over the rest.

    Half of them are those of the lowest mean average precision; the other half stand at even steps in the order of
    the mean, up to the best. So a report shows failures without hiding what a usual list looks like.

    Args:
        scores: Average precision of each query in each run, `(Q,)` each, NaN without a match.
        most: How many at most.

    Returns:
        Indices of queries, ascending, `(min(Q, most),)`.
    """
    table = np.stack(scores)  # (R, Q)
    number = table.shape[1]
    if number <= most:
        return np.arange(number, dtype=np.int64)
    known = ~np.isnan(table)
    mean = np.where(known, table, 0).sum(0) / np.maximum(known.sum(0), 1)  # (R, Q) -> (Q,)
    matched = np.flatnonzero(known.any(0))
    if len(matched) < most:  # a query without a match says nothing about a method: it comes last
        others = np.flatnonzero(~known.any(0))[: most - len(matched)]
        return np.sort(np.concatenate([matched, others]))
    order = matched[np.argsort(mean[matched], kind="stable")]
    worst = (most + 1) // 2
    rest = order[worst:][::-1]
    step = np.linspace(0, len(rest) - 1, most - worst).round().astype(np.int64)
    return np.sort(np.concatenate([order[:worst], rest[step]]))
