"""How the scores of impostor pairs are distributed, counted tile by tile."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from wsreid.retrieval.checks import checked_norms
from wsreid.retrieval.errors import Side
from wsreid.retrieval.features import FeatureTable, Metric
from wsreid.retrieval.junk import UNKNOWN, Ints, Pairs
from wsreid.retrieval.precision import full_float32
from wsreid.retrieval.products import error_bound, product32
from wsreid.retrieval.scores import in_threads, unit_rows

UNIT = 2.0**-24  # half the distance from 1 to the next float32
COUNTED_AT_ONCE = 2**20  # scores put into bins at once: more would leave the processor's cache


@dataclass(frozen=True)
class Bins:
    """Equal bins over all scores that can occur.

    Features are divided by `q_unit` and `g_unit`, powers of two, so that float32 products neither overflow nor lose
    digits; scores are in these units.

    Attributes:
        low: Lower end of the first bin.
        high: Upper end of the last.
        number: How many bins.
        error: How far the score that puts a pair into its bin may lie from the exact one.
        q_unit: What queries are divided by.
        g_unit: What gallery images are divided by; under `euclidean` the same.
        metric: The similarity: `cosine`, `dot`, or `euclidean`, whose score here is -|q - g|^2.
    """

    low: float
    high: float
    number: int
    error: float
    q_unit: float
    g_unit: float
    metric: Metric

    @property
    def width(self) -> float:
        """Width of a bin."""
        return (self.high - self.low) / self.number

    @property
    def edges(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Where bins begin, and the end of the last, `(number + 1,)`."""
        return np.linspace(self.low, self.high, self.number + 1)

    @property
    def score_unit(self) -> float:
        """What a score of these units is multiplied with to be one of the features' own."""
        return self.q_unit * self.g_unit


def make_bins(longest_query: float, longest_gallery: float, width: int, number: int, metric: Metric) -> Bins:
    """Covers all scores that features of these norms can have.

    The error is that of a float32 product; `euclidean` doubles the product and rounds two norms and two differences.
    Finding the bin costs six roundings of the range.

    Args:
        longest_query: Greatest norm of the queries.
        longest_gallery: Greatest norm of the whole gallery.
        width: Dimension D.
        number: How many bins.
        metric: The similarity.

    Returns:
        The bins.
    """
    if metric == "cosine":
        q_unit = g_unit = q = g = 1.0
    elif metric == "dot":
        q_unit, g_unit = _power_of_two(longest_query), _power_of_two(longest_gallery)
        q, g = longest_query / q_unit, longest_gallery / g_unit
    else:
        q_unit = g_unit = _power_of_two(max(longest_query, longest_gallery))
        q, g = longest_query / q_unit, longest_gallery / g_unit
    product = error_bound(width, "dot", q, g)
    if metric == "euclidean":
        low, high, error = -((q + g) ** 2), 0.0, 2 * product + 4 * UNIT * (q + g) ** 2
    else:
        low, high, error = -q * g, q * g, product
    if high == low:  # all features are zeros
        low, high = -1.0, 1.0
    return Bins(low, high, number, error + 6 * UNIT * (high - low), q_unit, g_unit, metric)


def norms(table: FeatureTable, side: Side, *, memory: int) -> Tensor:
    """Norms of the rows, `(N,)` float64.

    Args:
        table: N rows.
        side: Its name, for the message.
        memory: Bytes that the working arrays may take.

    Returns:
        The norms.

    Raises:
        NonFiniteFeaturesError: Some rows hold NaN or inf, or are too large or too small for their squares.
    """
    return checked_norms(table, side, step=max(1, memory // (24 * table.width)))


def impostor_histogram(
    query: FeatureTable,
    gallery: FeatureTable,
    q_norms: Tensor,
    g_norms: Tensor,
    q_pid: Ints,
    g_pid: Ints,
    pairs: Pairs,
    bins: Bins,
    *,
    memory: int,
) -> Ints:
    """Counts the scores of pairs of two known, different identities. Histograms of disjoint galleries add up.

    Args:
        query: Q rows.
        gallery: G rows.
        q_norms: Their norms, `(Q,)` float64.
        g_norms: Their norms, `(G,)` float64.
        q_pid: Identities, `(Q,)`; -1 = unknown, in no pair.
        g_pid: Identities, `(G,)`.
        pairs: All pairs of one identity: none of them is counted.
        bins: Where the scores go.
        memory: Bytes that the working arrays may take.

    Returns:
        Number of impostor pairs in each bin, `(bins.number,)` int64.
    """
    device = query.device
    unknown_q, unknown_g = (torch.from_numpy(pid == UNKNOWN).to(device) for pid in (q_pid, g_pid))
    order = np.argsort(pairs.gallery, kind="stable")
    by_gallery = pairs.gallery[order]
    pair_query, pair_gallery = (torch.from_numpy(x).to(device) for x in (pairs.query[order], by_gallery))
    total = torch.zeros(bins.number + 1, dtype=torch.int64, device=device)  # the last bin: pairs that do not count
    held = max(1, min(query.rows, 1024, memory // 4 // (16 * query.width)))
    columns = max(1, min(memory // 4 // (16 * query.width), memory // 4 // (8 * held), 8192))
    with torch.no_grad(), full_float32(device):
        for q0 in range(0, query.rows, held):
            q1 = min(q0 + held, query.rows)
            q = _rows(query, q0, q1, bins.q_unit, bins.metric)  # (q, D)
            for g0 in range(0, gallery.rows, columns):
                g1 = min(g0 + columns, gallery.rows)
                g = _rows(gallery, g0, g1, bins.g_unit, bins.metric)  # (g, D)
                scores = product32(q, g)  # (q, D), (g, D) -> (q, g)
                if bins.metric == "euclidean":
                    scores.mul_(2).sub_((g_norms[g0:g1] / bins.g_unit).square().float())
                    scores.sub_((q_norms[q0:q1, None] / bins.q_unit).square().float())
                a, b = np.searchsorted(by_gallery, (g0, g1))
                mine = (pair_query[a:b] >= q0) & (pair_query[a:b] < q1)
                scores[pair_query[a:b][mine] - q0, pair_gallery[a:b][mine] - g0] = torch.nan
                scores[unknown_q[q0:q1]] = torch.nan
                scores[:, unknown_g[g0:g1]] = torch.nan
                _count(scores.flatten(), bins, total)
    counts: Ints = total[:-1].cpu().numpy()
    return counts


def _rows(table: FeatureTable, start: int, stop: int, unit: float, metric: Metric) -> Tensor:
    if metric == "cosine":
        return unit_rows(table, start, stop)
    rows = table.slice(start, stop)
    return (rows.double() / unit).float()


def _count(scores: Tensor, bins: Bins, total: Tensor) -> None:
    """Adds `(n,)` float32 scores to `total` in place, NaN to its last bin; the scores are used up."""
    step = COUNTED_AT_ONCE if scores.device.type == "cpu" else len(scores)
    tallies: list[Tensor] = []

    def tally(start: int) -> None:
        part = scores[start : start + step]
        part.sub_(bins.low).mul_(bins.number / (bins.high - bins.low)).clamp_(0, bins.number - 1)
        place = part.nan_to_num_(nan=float(bins.number)).int()
        tallies.append(torch.bincount(place, minlength=bins.number + 1))

    in_threads(tally, range(0, len(scores), step))
    for one in tallies:
        total += one


def _power_of_two(norm: float) -> float:
    return math.ldexp(1.0, math.frexp(norm)[1]) if norm > 0 else 1.0
