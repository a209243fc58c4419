"""The test of each run as curves: cumulative matches, and how average precision is spread over the queries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from wsreid.report.chart import Chart, Choice, NamedRun, figure, line, whole_numbers

_BINS: Final = 20


def cmc_curves(runs: Sequence[NamedRun]) -> Chart:
    """The CMC curve of each tested run.

    Args:
        runs: The runs.

    Returns:
        The chart.

    Raises:
        FeatureError: A file is damaged.
    """
    traces = []
    for named in runs:
        result = named.run.retrieval
        if result is None:
            continue
        curve = 100 * (result.cmc_all if result.counts_all else result.cmc)
        ranks = whole_numbers(np.arange(1, len(curve) + 1))
        traces.append(line(named, ranks, curve))
    if not traces:
        return Chart("cmc", "CMC", "n/a: no run has ended with a test.")
    note = "Share of the queries with a match at this rank or a better one; test split, last checkpoint."
    return Chart("cmc", "CMC", note, (Choice("CMC", figure("rank", "queries, %", traces, whole=True)),))


def ap_distribution(runs: Sequence[NamedRun]) -> Chart:
    """How many queries of each tested run have which average precision.

    Args:
        runs: The runs.

    Returns:
        The chart.

    Raises:
        FeatureError: A file is damaged.
    """
    below, share = [], []
    edges = np.linspace(0, 100, _BINS + 1)
    for named in runs:
        result = named.run.retrieval
        if result is None:
            continue
        found = 100 * result.per_query().ap_step
        ap = np.sort(np.where(np.isnan(found), 0, found) if result.counts_all else found[~np.isnan(found)])
        order = np.linspace(0, len(ap) - 1, min(len(ap), 500)).round().astype(np.int64)
        style = line(named, [], [])["line"]
        upto = 100 * (order + 1) / len(ap)
        below.append(line(named, ap[order].astype(np.float32), upto, line={**style, "shape": "hv"}))
        counts = np.histogram(ap, edges)[0]
        middle = ((edges[1:] + edges[:-1]) / 2).astype(np.float32)
        share.append(line(named, middle, 100 * counts / len(ap), line={**style, "shape": "hvh"}))
    if not below:
        return Chart("ap", "Average precision of the queries", "n/a: no run has ended with a test.")
    x = "step average precision of a query, %"
    return Chart(
        "ap",
        "Average precision of the queries",
        "Test split, last checkpoint. A curve that rises late is better.",
        (
            Choice("share of the queries up to an AP", figure(x, "queries up to this AP, %", below)),
            Choice(f"share of the queries by AP, {_BINS} bins", figure(x, "queries, %", share)),
        ),
    )
