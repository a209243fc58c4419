"""Figures added up by query identity: all that a bootstrap over identities needs of a result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from wsreid.errors import FeatureError

if TYPE_CHECKING:
    from wsreid.retrieval.result import RetrievalResult

Figure = Literal["ap", "hits"]
_DIGITS = 5


@dataclass(frozen=True)
class IdentitySums:
    """Sums over the queries of each identity; all of one length.

    Attributes:
        pid: The identities, ascending.
        queries: Their number of queries.
        ap: Sum of the queries' step average precisions.
        hits: Sum of their rank-1 hits; fractions where a protocol draws several galleries.
    """

    pid: tuple[int, ...]
    queries: tuple[float, ...]
    ap: tuple[float, ...]
    hits: tuple[float, ...]

    def as_lists(self) -> dict[str, list[float]]:
        """As JSON takes it, five digits behind the point."""
        return {
            "pid": list(self.pid),
            "queries": [_short(value) for value in self.queries],
            "ap": [_short(value) for value in self.ap],
            "hits": [_short(value) for value in self.hits],
        }

    @classmethod
    def of_lists(cls, lists: Mapping[str, Sequence[Any]]) -> IdentitySums:
        """From what `as_lists` gave."""
        return cls(
            tuple(int(value) for value in lists["pid"]),
            *(tuple(float(value) for value in lists[name]) for name in ("queries", "ap", "hits")),
        )


def identity_sums(result: RetrievalResult) -> IdentitySums:
    """Adds the figures of the queries up by identity.

    Args:
        result: An evaluation that knows its queries' identities. Queries of an unknown identity are an identity each.

    Returns:
        The sums, over the queries that the protocol counts.

    Raises:
        FeatureError: The result does not know its queries' identities.
    """
    if result.query_pid is None:
        raise FeatureError(
            "the result does not know its queries' identities (files before format 2 lack them). Evaluate again."
        )
    figures = result.per_query()
    valid = ~np.isnan(figures.first)
    counted = valid | result.counts_all
    ap = np.where(valid, figures.ap_step, 0)  # (Q,)
    hit = np.where(valid, (result.first_ranks() <= 0).mean(axis=0), 0)  # (S, Q) -> (Q,)
    pid = np.where(result.query_pid < 0, -2 - np.arange(len(valid)), result.query_pid)
    ids, at = np.unique(pid[counted], return_inverse=True)
    sums = [np.bincount(at, values[counted], len(ids)).tolist() for values in (np.ones(len(valid)), ap, hit)]
    return IdentitySums(tuple(ids.tolist()), *map(tuple, sums))


def _short(value: float) -> float:
    rounded = round(value, _DIGITS)
    return int(rounded) if rounded == int(rounded) else rounded
