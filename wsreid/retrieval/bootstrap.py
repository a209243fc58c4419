"""How far the figures would move with other query identities: bootstrap intervals.

Queries of one identity are not independent, so identities are drawn, each with all its queries (the cluster bootstrap:
Davison and Hinkley, "Bootstrap Methods and their Application", 1997, section 3.8).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wsreid.errors import ConfigError, FeatureError
from wsreid.retrieval.junk import UNKNOWN, Ints
from wsreid.retrieval.result import RetrievalResult
from wsreid.retrieval.summary import SHOWN_RANKS, summary

Table = np.ndarray[tuple[int, int], np.dtype[np.float64]]
Weights = np.ndarray[tuple[int], np.dtype[np.float64]]
NAMES = (*SHOWN_RANKS, "mAP_step", "mAP_trapezoid", "mINP")  # columns of a table of figures, those of `summary`
DRAWN_AT_ONCE = 2**22  # identities drawn at once, 8 bytes each


@dataclass(frozen=True)
class Interval:
    """A figure and where it may lie.

    Attributes:
        value: The figure itself, a fraction.
        low: Lower end; NaN if there are fewer than two identities to draw from.
        high: Upper end.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class PairedInterval:
    """The difference of two results' figures, and where it may lie.

    Attributes:
        difference: Figure of the first minus figure of the second.
        low: Lower end; NaN if there are fewer than two identities to draw from.
        high: Upper end.
        p: Two-sided bootstrap p-value of "no difference": twice the smaller share of draws on one side of 0, that
            observed included; NaN as above.
    """

    difference: float
    low: float
    high: float
    p: float


def bootstrap(result: RetrievalResult, *, draws: int = 1000, level: float = 0.95, seed: int = 0) -> dict[str, Interval]:
    """Percentile intervals of the figures of `summary`.

    A draw takes as many identities as there are, with replacement, each with all its queries, and averages over their
    queries. Queries without a match count as the protocol says: left out, or as misses. Queries of identity -1 are an
    identity each.

    Args:
        result: An evaluation.
        draws: Number of draws.
        level: Share of the draws that an interval holds, in (0, 1).
        seed: Seed of the draws.

    Returns:
        Interval by figure.

    Raises:
        FeatureError: The result does not know its queries' identities.
        ConfigError: An option is out of its range.
    """
    _check(draws, level)
    table, weight = _query_figures(result)
    drawn = _drawn_means(table, weight, _identities(result), draws, seed)  # (draws, F)
    low, high = _percentiles(drawn, level)
    values = summary(result)
    return {name: Interval(values[name], *ends) for name, *ends in zip(NAMES, low, high, strict=True)}


def paired_bootstrap(
    a: RetrievalResult, b: RetrievalResult, *, draws: int = 1000, level: float = 0.95, seed: int = 0
) -> dict[str, PairedInterval]:
    """Percentile intervals of the differences of two results over the same queries; each draw serves both.

    Args:
        a: The first result.
        b: The second, over the same queries, in any order, with the same protocol and gallery identities.
        draws: Number of draws.
        level: Share of the draws that an interval holds, in (0, 1).
        seed: Seed of the draws.

    Returns:
        Interval of a - b by figure.

    Raises:
        FeatureError: The results are over different queries or identities, or do not count the same queries.
        ConfigError: An option is out of its range.
    """
    _check(draws, level)
    first, second = _aligned(a, b)
    (table_a, weight_a), (table_b, weight_b) = _query_figures(a), _query_figures(b)
    pid_a, pid_b = _known_pids(a)[first], _known_pids(b)[second]
    differ = np.flatnonzero(pid_a != pid_b)
    if len(differ):
        at = differ[0]
        raise FeatureError(
            f"the two results are of different data: query row {a.query_row[first[at]]} has identity {pid_a[at]} in "
            f"the first and {pid_b[at]} in the second. Compare results of one test split."
        )
    terms = [(r.definition.get("protocol"), r.definition.get("unmatched")) for r in (a, b)]
    if terms[0] != terms[1] or not np.array_equal(weight_a[first], weight_b[second]):
        raise FeatureError(
            f"the two results do not count the same queries (protocol {terms[0][0]}, {a.n_valid} with a match; "
            f"protocol {terms[1][0]}, {b.n_valid}). Evaluate both with one protocol and one gallery."
        )
    table = table_a[first] - table_b[second]  # (Q, F)
    drawn = _drawn_means(table, weight_a[first], _identities(a)[first], draws, seed)  # (draws, F)
    low, high = _percentiles(drawn, level)
    beyond = np.minimum((drawn <= 0).sum(0), (drawn >= 0).sum(0))  # (F,)
    p = np.where(np.isnan(low), np.nan, np.minimum(1, 2 * (1 + beyond) / (draws + 1)))
    values = summary(a), summary(b)
    return {
        name: PairedInterval(values[0][name] - values[1][name], *map(float, ends))
        for name, *ends in zip(NAMES, low, high, p, strict=True)
    }


def drawn_identities(result: RetrievalResult) -> int:
    """Number of identities that a bootstrap draws from: those with a query that counts.

    Raises:
        FeatureError: The result does not know its queries' identities.
    """
    return len(np.unique(_identities(result)[_query_figures(result)[1] > 0]))


def _check(draws: int, level: float) -> None:
    if draws < 1:
        raise ConfigError(f"draws={draws}: expected at least 1.")
    if not 0 < level < 1:
        raise ConfigError(f"level={level}: expected a share between 0 and 1, such as 0.95.")


def _known_pids(result: RetrievalResult) -> Ints:
    if result.query_pid is None:
        raise FeatureError(
            "the result does not know its queries' identities (files before format 2 lack them), and the bootstrap "
            "draws identities. Evaluate again to make it."
        )
    return result.query_pid


def _identities(result: RetrievalResult) -> Ints:
    """A label of each query's identity, `(Q,)`; an unknown identity is one of its own."""
    pid = _known_pids(result)
    labels = np.unique(pid, return_inverse=True)[1]
    unknown = np.flatnonzero(pid == UNKNOWN)
    labels[unknown] = len(pid) + np.arange(len(unknown))
    return labels


def _query_figures(result: RetrievalResult) -> tuple[Table, Weights]:
    """The figures of each query, `(Q, F)`, 0 without a match, and whether it counts, `(Q,)` of 0 and 1."""
    figures = result.per_query()
    first = result.first_ranks()  # (S, Q)
    hits = [(first <= k - 1).mean(axis=0) for k in SHOWN_RANKS.values()]  # (S, Q) -> (Q,)
    table = np.stack([*hits, figures.ap_step, figures.ap_trapezoid, figures.inp], axis=1)  # (Q, F)
    valid = ~np.isnan(figures.first)
    return np.where(valid[:, None], table, 0), np.where(valid | result.counts_all, 1.0, 0.0)


def _aligned(a: RetrievalResult, b: RetrievalResult) -> tuple[Ints, Ints]:
    """Orders that put the same query rows side by side, ascending."""
    for result, which in ((a, "first"), (b, "second")):
        if len(np.unique(result.query_row)) < result.n_query:
            raise FeatureError(f"the {which} result names a query row twice: rows cannot be told apart.")
    first, second = (np.argsort(r.query_row, kind="stable") for r in (a, b))
    if not np.array_equal(a.query_row[first], b.query_row[second]):
        only = len(np.setxor1d(a.query_row, b.query_row))
        raise FeatureError(
            f"{only} query rows are in one of the two results only: compare results of the same queries."
        )
    return first, second


def _drawn_means(table: Table, weight: Weights, identity: Ints, draws: int, seed: int) -> Table:
    """Means over the drawn identities' queries, `(draws, F)`; NaN where there are fewer than two to draw."""
    counted = weight > 0
    label = np.unique(identity[counted], return_inverse=True)[1]
    size = np.bincount(label).astype(np.float64)  # (I,)
    sums = np.stack([np.bincount(label, column) for column in table[counted].T], axis=1)  # (Q, F) -> (I, F)
    number = len(size)
    if number < 2:
        return np.full((draws, table.shape[1]), np.nan)
    generator = np.random.default_rng(seed)
    means = []
    step = max(1, DRAWN_AT_ONCE // number)
    for start in range(0, draws, step):
        n = min(step, draws - start)
        picked = generator.integers(0, number, (n, number)) + number * np.arange(n)[:, None]
        times = np.bincount(picked.ravel(), minlength=n * number).reshape(n, number).astype(np.float64)  # (n, I)
        means.append((times @ sums) / (times @ size)[:, None])  # (n, I), (I, F) -> (n, F)
    return np.concatenate(means)


def _percentiles(drawn: Table, level: float) -> tuple[list[float], list[float]]:
    ends = np.quantile(drawn, ((1 - level) / 2, (1 + level) / 2), axis=0)
    return ends[0].tolist(), ends[1].tolist()
