"""Ranks of the matches where distances are at hand."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from wsreid.retrieval.junk import Pairs
from wsreid.retrieval.metrics import Floats


def counts_of_distances(
    blocks: Iterable[tuple[int, int, np.ndarray[tuple[int, int], np.dtype[np.float32]]]],
    pairs: Pairs,
    g_known: np.ndarray[tuple[int], np.dtype[np.bool_]],
    *,
    share: float,
) -> tuple[tuple[Floats, ...], int]:
    """The 0-based ranks r_i = i + h_i + t e_i of each query's matches (graph-model.md section 9).

    Args:
        blocks: `(start, stop, (stop - start, G))`: distances of the query rows, in order; smaller is more alike.
        pairs: The pairs of one identity.
        g_known: Gallery images of a known identity, `(G,)`; the others are junk.
        share: t, the share of the tied non-matches that goes before the match.

    Returns:
        An ascending float64 array for each query of the blocks, and the number of matches that are tied.
    """
    ranks, tied = [], 0
    for start, stop, block in blocks:
        bounds = np.searchsorted(pairs.query, np.arange(start, stop + 1))
        for n, row in enumerate(block):
            here = slice(bounds[n], bounds[n + 1])
            same, junk = pairs.gallery[here], pairs.junk[here]
            match = np.sort(row[same[~junk]])
            if len(match) == 0:
                ranks.append(np.empty(0))
                continue
            rival = (row <= match[-1]) & g_known
            rival[same] = False
            nearer = np.sort(row[rival])
            above = np.searchsorted(nearer, match, side="left")
            level = np.searchsorted(nearer, match, side="right") - above
            tied += int((level > 0).sum())
            ranks.append(np.arange(len(match)) + np.sort(above + share * level))
    return tuple(ranks), tied
