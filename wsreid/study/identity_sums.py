"""Figures added up by query identity: all that a bootstrap over identities needs of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

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


def _short(value: float) -> float:
    rounded = round(value, _DIGITS)
    return int(rounded) if rounded == int(rounded) else rounded
