"""Bootstrap over query identities with the seeds pooled: a drawn identity brings its queries in all runs.

The same draws as `wsreid.retrieval.bootstrap` (there over one result, here over sums that were kept of it).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wsreid.errors import DataError
from wsreid.tracking.identity_sums import Figure, IdentitySums

Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
DRAWS, LEVEL, SEED = 1000, 0.95, 0


@dataclass(frozen=True)
class Spread:
    """A figure in percent, and where it may lie.

    Attributes:
        value: The figure, or the difference of two.
        low: Lower end of its interval; NaN where there are fewer than two identities.
        high: Upper end.
    """

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether zero lies outside."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Difference(Spread):
    """How far two figures lie apart, in percentage points, and where that may lie.

    Attributes:
        p: Two-sided bootstrap p-value of "no difference": twice the smaller share of draws on one side of 0, that
            observed included; NaN where there are fewer than two identities.
    """

    p: float


def interval(runs: Sequence[IdentitySums], figure: Figure) -> Spread:
    """A figure over pooled runs.

    Args:
        runs: The runs of all seeds, over the same queries.
        figure: `ap` for mAP, `hits` for rank-1.

    Returns:
        The figure and its interval.

    Raises:
        DataError: The runs have other queries.
    """
    queries, sums = _pooled(runs, figure)
    return _spread(sums.sum() / queries.sum(), _drawn(queries, sums))


def difference(a: Sequence[IdentitySums], b: Sequence[IdentitySums], figure: Figure) -> Difference:
    """A figure of some runs minus that of others, each draw serving both.

    Args:
        a: The runs.
        b: The others, over the same queries.
        figure: As for `interval`.

    Returns:
        The difference, its interval and its p-value.

    Raises:
        DataError: The runs have other queries.
    """
    _same_queries([*a, *b])
    (queries_a, sums_a), (queries_b, sums_b) = _pooled(a, figure), _pooled(b, figure)
    value = sums_a.sum() / queries_a.sum() - sums_b.sum() / queries_b.sum()
    drawn = _drawn(queries_a, sums_a) - _drawn(queries_b, sums_b)
    found = _spread(value, drawn)
    beyond = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    p = float("nan") if np.isnan(found.low) else min(1.0, 2 * (1 + beyond) / (DRAWS + 1))
    return Difference(found.value, found.low, found.high, p)


def _pooled(runs: Sequence[IdentitySums], figure: Figure) -> tuple[Array, Array]:
    """Queries and sums of each identity over all runs, each `(I,)`."""
    _same_queries(runs)
    queries = np.array([run.queries for run in runs], dtype=np.float64)  # (S, I)
    sums = np.array([run.ap if figure == "ap" else run.hits for run in runs], dtype=np.float64)  # (S, I)
    return queries.sum(axis=0), sums.sum(axis=0)


def _same_queries(runs: Sequence[IdentitySums]) -> None:
    for run in runs:
        if run.pid != runs[0].pid or run.queries != runs[0].queries:
            raise DataError(
                "the runs were scored on different queries, so they cannot be compared: a data set has changed "
                "between them. Run the older ones again (in a study: --again LABEL)."
            )


def _drawn(queries: Array, sums: Array) -> Array:
    """The figure in each draw, `(draws,)`."""
    number = len(queries)
    if number < 2:
        return np.full(DRAWS, np.nan)
    picked = np.random.default_rng(SEED).integers(0, number, (DRAWS, number))
    times = np.stack([np.bincount(row, minlength=number) for row in picked]).astype(np.float64)  # (draws, I)
    drawn: Array = (times @ sums) / (times @ queries)
    return drawn


def _spread(value: float, drawn: Array) -> Spread:
    low, high = np.quantile(drawn, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return Spread(100 * float(value), 100 * float(low), 100 * float(high))
