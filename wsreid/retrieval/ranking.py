"""Exact ranks of each query's matches in a gallery, or in the parts of one that several processes hold."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from wsreid.retrieval.checks import check_finite
from wsreid.retrieval.counting import Counts, NonFiniteTileError, count_better
from wsreid.retrieval.doubts import KnownScores
from wsreid.retrieval.features import FeatureTable, Metric
from wsreid.retrieval.group import Group, together
from wsreid.retrieval.junk import UNKNOWN, Ints, Pairs
from wsreid.retrieval.metrics import Floats
from wsreid.retrieval.scores import out_of_range, pair_scores, row_norms
from wsreid.retrieval.thresholds import Thresholds


@dataclass(frozen=True, eq=False)
class RankedMatches:
    """Where the matches stand.

    Attributes:
        ranks: For each query the ascending 0-based ranks of its matches, float64; empty = no match.
        n_tied: Number of matches that tie with a non-match.
        counts: What the ranks were made of.
    """

    ranks: tuple[Floats, ...]
    n_tied: int
    counts: Counts


def exact_ranks(
    query: FeatureTable,
    gallery: FeatureTable,
    g_pid: Ints,
    pairs: Pairs,
    *,
    metric: Metric,
    share: float,
    memory: int,
    group: Group,
) -> RankedMatches:
    """Ranks all matches by counting.

    Only scores of matches and counts travel between processes; each keeps its part of the gallery.

    Args:
        query: Q rows, the same on each process.
        gallery: The G rows of this process.
        g_pid: Their identities, `(G,)`; -1 = counts for no query.
        pairs: The pairs of one identity with these rows, junk included.
        metric: The similarity.
        share: Share of the tied non-matches that goes before a match.
        memory: Bytes that the working arrays may take.
        group: The processes.

    Returns:
        The ranks over the whole gallery, the same on each process.

    Raises:
        NonFiniteFeaturesError: Features hold NaN or inf, or are too large or too small, here or on another process.
    """
    device = query.device
    pair_query, pair_gallery, junk = (torch.from_numpy(x).to(device) for x in (pairs.query, pairs.gallery, pairs.junk))
    with together(group), _finite(query, gallery, memory):
        rows = query.slice(0, query.rows)
        if bool(out_of_range(rows, row_norms(rows)).any()):
            raise NonFiniteTileError
        scores = pair_scores(query, gallery, pair_query, pair_gallery, metric=metric, memory=memory)  # (P,)
        if not bool(torch.isfinite(scores).all()):
            raise NonFiniteTileError
    match_query = np.concatenate(group.gather(pair_query[~junk].cpu().numpy()))
    match_scores = np.concatenate(group.gather(scores[~junk].cpu().numpy()))
    thresholds = sort_thresholds(
        torch.from_numpy(match_query).to(device), torch.from_numpy(match_scores).to(device), query.rows
    )
    known = torch.from_numpy(g_pid != UNKNOWN).to(device)
    with together(group), _finite(query, gallery, memory):
        scored = KnownScores(pair_query, pair_gallery, scores, gallery.rows)
        counts = count_better(query, gallery, thresholds, metric=metric, memory=memory, known=known, scored=scored)
        counts = counts.without(*counts_of_pairs(thresholds, pair_query, scores))
    counts = sum_counts(counts, group)
    tied = int((counts.tied > 0).sum())
    return RankedMatches(match_ranks(thresholds, counts, share=share), tied, counts)


def counts_of_pairs(thresholds: Thresholds, query: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
    """How many of the given pairs score above, and the same as, each match of their query.

    Args:
        thresholds: The matches.
        query: Query of each pair, `(P,)` long.
        scores: Exact scores, `(P,)` float64.

    Returns:
        Two `(M,)` long tensors.
    """
    bins = len(thresholds.scores) + len(thresholds.offset) - 1
    passed, tied = thresholds.place(query, scores)
    passes = torch.bincount(passed + query, minlength=bins)
    return thresholds.counts(passes, passes - torch.bincount(tied + query, minlength=bins))


def sum_counts(counts: Counts, group: Group) -> Counts:
    """The counts over the galleries of all processes."""
    if group.size == 1:
        return counts
    device = counts.above.device
    above, tied = (group.sum(x.cpu().numpy()) for x in (counts.above, counts.tied))
    rest = group.sum(np.array([counts.rechecked, counts.doubled, counts.compared], dtype=np.int64))
    return Counts(torch.from_numpy(above).to(device), torch.from_numpy(tied).to(device), *rest.tolist())


def sort_thresholds(match_query: Tensor, scores: Tensor, n_query: int) -> Thresholds:
    """Orders matches by query, then by score ascending.

    Args:
        match_query: Query of each match, `(M,)` long.
        scores: Exact scores, `(M,)` float64.
        n_query: Number Q of queries.

    Returns:
        The thresholds of the Q queries.
    """
    by_score = torch.sort(scores, stable=True).indices
    order = by_score[torch.sort(match_query[by_score], stable=True).indices]
    counts = torch.bincount(match_query, minlength=n_query)
    return Thresholds(scores[order], torch.cat([counts.new_zeros(1), counts.cumsum(0)]))


def match_ranks(thresholds: Thresholds, counts: Counts, *, share: float) -> tuple[Floats, ...]:
    """The 0-based ranks r_i = i + h_i + t e_i of each query's matches (graph-model.md section 9).

    Args:
        thresholds: The matches of Q queries, ascending in score within a query.
        counts: h, the non-matches above each match, and e, those tied with it.
        share: t, the share of the tied that goes before the match.

    Returns:
        Q ascending float64 arrays.
    """
    offset = thresholds.offset.cpu().numpy()
    penalty = (counts.above.double() + share * counts.tied.double()).cpu().numpy()
    return tuple(penalty[a:b][::-1] + np.arange(b - a, dtype=np.float64) for a, b in pairwise(offset))


@contextmanager
def _finite(query: FeatureTable, gallery: FeatureTable, memory: int) -> Iterator[None]:
    """Finds the rows at fault once something turned out not to be finite."""
    try:
        yield
    except NonFiniteTileError:
        check_finite(query, "query", memory=memory)
        check_finite(gallery, "gallery", memory=memory)
        raise
