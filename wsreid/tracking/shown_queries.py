"""Which queries of an evaluation are shown: the worst, the best, or some that are the same for every method."""

from __future__ import annotations

import numpy as np

from wsreid.data.seeding import scrambled
from wsreid.retrieval import RetrievalResult


def worst_queries(result: RetrievalResult, count: int) -> list[int]:
    """The queries whose first match comes latest; those without a match are left out.

    Args:
        result: An evaluation.
        count: How many.

    Returns:
        Indices of queries, worst first; queries that are equally bad in their order.
    """
    first = [(-float(ranks[0]), query) for query, ranks in enumerate(result.ranks) if len(ranks)]
    return [query for _, query in sorted(first)[:count]]


def best_queries(result: RetrievalResult, count: int) -> list[int]:
    """The queries of the highest average precision; those without a match are left out.

    Args:
        result: An evaluation.
        count: How many.

    Returns:
        Indices of queries, best first; queries that are equally good in their order.
    """
    order = np.argsort(-result.per_query().ap_step, kind="stable")[: result.n_valid]  # NaN, no match, is sorted last
    return [int(query) for query in order[:count]]


def fixed_queries(result: RetrievalResult, count: int) -> list[int]:
    """Random queries, chosen by their rows alone: the same ones for every method on the same data.

    Args:
        result: An evaluation.
        count: How many; all where there are fewer.

    Returns:
        Indices of queries, in their order; those of a smaller count are among those of a greater one.
    """
    chosen = np.argsort(scrambled(result.query_row), kind="stable")[:count]
    return [int(query) for query in np.sort(chosen)]
