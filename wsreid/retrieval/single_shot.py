"""Galleries of one image an identity, as CUHK03's first protocol draws them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from wsreid.retrieval.junk import UNKNOWN, Ints, Pairs

Shots = np.ndarray[tuple[int, int], np.dtype[np.float64]]


@dataclass(frozen=True, eq=False)
class SingleShot:
    """One draw.

    A query competes with the drawn images of the other identities; its own identity's drawn image is put aside, and
    `match` takes its place, because each query's match must not be junk to it.

    Attributes:
        gallery: Gallery row drawn for each identity, `(I,)` int64, identities ascending; identity -1 has none.
        own: For each query the entry of `gallery` that shows its identity, `(Q,)` int64; -1 = none.
        match: For each query the gallery row of its match, `(Q,)` int64; -1 = it has no match.
    """

    gallery: Ints
    own: Ints
    match: Ints


def draw_single_shot(q_pid: Ints, g_pid: Ints, pairs: Pairs, generator: np.random.Generator) -> SingleShot:
    """Draws one image an identity for all queries, and for each query one of its matches.

    Args:
        q_pid: Identities of the queries, `(Q,)` int64; -1 = unknown.
        g_pid: Identities of the gallery, `(G,)`; -1 is never drawn.
        pairs: All pairs of one identity.
        generator: Source of the draws.

    Returns:
        The draw; each image of an identity, and each match of a query, is as likely as the others.
    """
    known = np.flatnonzero(g_pid != UNKNOWN)
    ids, rows = _one_of_each(g_pid[known], known, generator)
    place = np.searchsorted(ids, q_pid)
    inside = place < len(ids)
    inside[inside] = ids[place[inside]] == q_pid[inside]
    queries, matches = _one_of_each(pairs.query[~pairs.junk], pairs.gallery[~pairs.junk], generator)
    match = np.full(len(q_pid), -1, dtype=np.int64)
    match[queries] = matches
    return SingleShot(rows, np.where(inside, place, -1), match)


def single_shots(q_pid: Ints, g_pid: Ints, pairs: Pairs, *, repeats: int, seed: int) -> Iterator[SingleShot]:
    """The draws of an evaluation; draw r depends on the seed and r alone.

    Args:
        q_pid: Identities of the queries, `(Q,)` int64.
        g_pid: Identities of the gallery, `(G,)`.
        pairs: All pairs of one identity.
        repeats: Number of draws.
        seed: Seed of all of them.

    Yields:
        One draw after the other.
    """
    for repeat in range(repeats):
        yield draw_single_shot(q_pid, g_pid, pairs, np.random.default_rng([seed, repeat]))


def single_shot_ranks(shots: Iterator[SingleShot], ranks_in: Callable[[SingleShot], np.ndarray]) -> Shots:
    """Ranks of each query's match in each draw.

    Args:
        shots: The draws.
        ranks_in: From a draw to the 0-based rank of each query's `match` among the drawn images of the other
            identities, `(Q,)`, by the tie rule; what it gives for a query without a match is not looked at.

    Returns:
        `(repeats, Q)` float64; NaN = no match.
    """
    return np.stack([np.where(shot.match >= 0, ranks_in(shot), np.nan) for shot in shots])


def _one_of_each(keys: Ints, values: Ints, generator: np.random.Generator) -> tuple[Ints, Ints]:
    """The different keys, ascending, and for each of them one of its values."""
    order = np.argsort(keys, kind="stable")
    different, start, count = np.unique(keys[order], return_index=True, return_counts=True)
    return different, values[order][start + generator.integers(0, np.maximum(count, 1))]
