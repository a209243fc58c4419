"""Queries that cannot be found, named before anything is ranked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wsreid.retrieval.junk import UNKNOWN, Ints, same_identity_pairs
from wsreid.retrieval.protocols import Protocol

SHOWN = 5  # rows that a message names


@dataclass(frozen=True, eq=False)
class LostQueries:
    """The queries without a match, by what they lack.

    Attributes:
        unknown: Queries of identity -1, `(U,)` int64, ascending.
        absent: Queries whose identity is not in the gallery, `(A,)`.
        own_camera: Queries whose identity is in the gallery under their own camera alone, so that the junk rule
            removes it, `(O,)`.
        n_query: Number of queries, lost or not.
        cameras: Number of different cameras among the queries, -1 aside.
        protocol: The protocol that they are lost under.
    """

    unknown: Ints
    absent: Ints
    own_camera: Ints
    n_query: int
    cameras: int
    protocol: Protocol

    def __len__(self) -> int:
        return len(self.unknown) + len(self.absent) + len(self.own_camera)

    @property
    def rows(self) -> Ints:
        """All of them, ascending."""
        return np.sort(np.concatenate([self.unknown, self.absent, self.own_camera]))

    @property
    def causes(self) -> tuple[str, ...]:
        """What is likely wrong, and what to do; one sentence or two for each kind of lost query."""
        found = []
        if len(self.own_camera):
            if self.cameras == 1:
                found.append("All queries have one camera: were the cameras read? Without cameras use protocol 'none'.")
            elif len(self.own_camera) * 2 > self.n_query:
                found.append(
                    "Most identities were seen by one camera: look how cameras are numbered, or use protocol 'none'."
                )
            else:
                found.append("Those identities were seen by one camera only, as happens in small or cut splits.")
        if len(self.absent):
            if len(self.absent) == self.n_query - len(self.unknown):
                found.append("Query and gallery share no identity: are they numbered alike, and of the same split?")
            else:
                found.append(
                    "The gallery lacks those identities: is it whole, or were distractors put among the queries?"
                )
        if len(self.unknown):
            found.append("Identity -1 means unknown: give those queries their identity, or leave them out.")
        return tuple(found)

    def __str__(self) -> str:
        """The message: counts, the first rows, the fate of those queries, the likely causes. Empty if none is lost."""
        if len(self) == 0:
            return ""
        kinds = (
            (self.own_camera, "whose identity the gallery shows under their own camera only"),
            (self.absent, "whose identity is not in the gallery"),
            (self.unknown, "of identity -1"),
        )
        parts = [f"{len(rows):,} {words} ({_shown(rows)})" for rows, words in kinds if len(rows)]
        fate = "count as misses" if self.protocol.unmatched == "missed" else "are left out of the averages"
        return (
            f"{len(self):,} of {self.n_query:,} queries have no match under protocol {self.protocol.name} and {fate}: "
            f"{', '.join(parts)}. {' '.join(self.causes)}"
        )


def lost_queries(q_pid: Ints, g_pid: Ints, q_cam: Ints, g_cam: Ints, protocol: Protocol) -> LostQueries:
    """Finds the queries without a match. Needs no features, so it can be asked before training.

    Args:
        q_pid: Identities of the queries, `(Q,)` int64; -1 = unknown.
        g_pid: Identities of the gallery, `(G,)`.
        q_cam: Cameras of the queries, `(Q,)`; -1 = unknown.
        g_cam: Cameras of the gallery, `(G,)`.
        protocol: What makes a gallery image junk.

    Returns:
        The lost queries.
    """
    pairs = same_identity_pairs(q_pid, g_pid, q_cam, g_cam, same_camera_is_junk=protocol.same_camera_is_junk)
    matches = np.bincount(pairs.query[~pairs.junk], minlength=len(q_pid))  # (Q,)
    junk = np.bincount(pairs.query[pairs.junk], minlength=len(q_pid))  # (Q,)
    return lost_by_counts(q_pid, q_cam, matches, junk, protocol)


def lost_by_counts(q_pid: Ints, q_cam: Ints, matches: Ints, junk: Ints, protocol: Protocol) -> LostQueries:
    """Finds the queries without a match from counts, which add up over the parts of a gallery.

    Args:
        q_pid: Identities of the queries, `(Q,)` int64; -1 = unknown.
        q_cam: Their cameras, `(Q,)`; -1 = unknown.
        matches: Number of each query's matches, `(Q,)`.
        junk: Number of gallery images of its identity that are junk, `(Q,)`.
        protocol: What made them junk.

    Returns:
        The lost queries.
    """
    lost, known = matches == 0, q_pid != UNKNOWN
    return LostQueries(
        unknown=np.flatnonzero(~known),
        absent=np.flatnonzero(lost & known & (junk == 0)),
        own_camera=np.flatnonzero(lost & known & (junk > 0)),
        n_query=len(q_pid),
        cameras=len(np.unique(q_cam[q_cam != UNKNOWN])),
        protocol=protocol,
    )


def _shown(rows: Ints) -> str:
    listed = ", ".join(map(str, rows[:SHOWN].tolist()))
    more = "" if len(rows) <= SHOWN else ", ..."
    return f"{'row' if len(rows) == 1 else 'rows'} {listed}{more}"
