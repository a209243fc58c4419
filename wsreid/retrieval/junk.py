"""Which gallery images are a query's matches, and which are junk."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Ints = np.ndarray[tuple[int], np.dtype[np.int64]]
UNKNOWN = -1


@dataclass(frozen=True, eq=False)
class Pairs:
    """All (query, gallery image) pairs of one identity.

    Attributes:
        query: `(P,)` int64, ascending.
        gallery: `(P,)` int64, ascending within a query.
        junk: `(P,)` bool; True = same camera, to be removed before ranks are counted. The others are matches.
    """

    query: Ints
    gallery: Ints
    junk: np.ndarray[tuple[int], np.dtype[np.bool_]]


def same_identity_pairs(
    q_pid: Ints, g_pid: Ints, q_cam: Ints, g_cam: Ints, *, same_camera_is_junk: bool = True
) -> Pairs:
    """Finds the pairs that share an identity, and which of them are junk (graph-model.md section 9).

    A gallery image of the same identity is a match, unless it is of the same camera: then it is junk. A camera of -1
    is unknown and equals no other. An identity of -1 is unknown: such a gallery image is junk for each query (it
    makes no pair; the counting leaves it out), and such a query has no match. Other negative identities are
    identities like any other.

    Args:
        q_pid: `(Q,)`.
        g_pid: `(G,)`.
        q_cam: `(Q,)`.
        g_cam: `(G,)`.
        same_camera_is_junk: The protocol's rule; False = cameras are not looked at, and no pair is junk.

    Returns:
        The P pairs.
    """
    order = np.flatnonzero(np.isin(g_pid, q_pid))  # sorting millions of distractors would take seconds
    order = order[np.argsort(g_pid[order], kind="stable")]
    ordered = g_pid[order]
    first = np.searchsorted(ordered, q_pid, side="left")
    count = np.searchsorted(ordered, q_pid, side="right") - first
    count[q_pid == UNKNOWN] = 0
    query = np.repeat(np.arange(len(q_pid), dtype=np.int64), count)  # (P,)
    within = np.arange(len(query)) - np.repeat(np.cumsum(count) - count, count)
    gallery = order[np.repeat(first, count) + within].astype(np.int64)  # (P,)
    junk = (q_cam[query] == g_cam[gallery]) & (q_cam[query] != UNKNOWN) & same_camera_is_junk
    return Pairs(query, gallery, junk)


def junk_rule(same_camera_is_junk: bool) -> str:
    """The rule in words, as a result's definition states it."""
    if same_camera_is_junk:
        return "same identity and same camera, or identity -1"
    return "identity -1 (no cameras: images of the query's own camera count as matches)"
