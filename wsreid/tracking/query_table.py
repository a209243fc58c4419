"""An evaluation query by query, as the rows of a table."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

from wsreid.retrieval import RetrievalResult

COLUMNS: Final = ("query", "row", "identity", "first_match", "AP_step", "AP_trapezoid", "INP")
Cell = str | int | float | None


def query_rows(result: RetrievalResult, queries: Sequence[int], describe: Callable[[int], str]) -> list[list[Cell]]:
    """A row for each query.

    Args:
        result: An evaluation.
        queries: Indices of queries.
        describe: What to call the image of a manifest row.

    Returns:
        The cells by `COLUMNS`: the query's name, manifest row and identity; the rank of its first match, from 1, a
        fraction where it ties with a non-match; both average precisions and INP. None = not known, or no match.
    """
    figures = result.per_query()
    pids = result.query_pid
    return [
        [
            describe(int(result.query_row[query])),
            int(result.query_row[query]),
            None if pids is None else int(pids[query]),
            _known(figures.first[query] + 1),
            *(_known(values[query]) for values in (figures.ap_step, figures.ap_trapezoid, figures.inp)),
        ]
        for query in queries
    ]


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
