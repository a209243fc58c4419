"""The validation split: training identities held out, scored as query and gallery across cameras."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wsreid.data.seeding import stream
from wsreid.errors import DataError

_LEAST = 2  # identities on either side: with one alone every ranking is perfect


def split_identities(
    identities: NDArray[np.int64], fraction: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Holds out a seeded share of the identities.

    Args:
        identities: The training identities, unique, `(K,)`.
        fraction: Share to hold out, rounded to whole identities, at least two of them; 0 = none.
        seed: Seed of the draw.

    Returns:
        The identities that stay in training and those held out, both ascending.

    Raises:
        DataError: Fewer than two identities would be left on either side.
    """
    identities = np.sort(identities)
    if fraction == 0:
        return identities, identities[:0]
    held = max(round(fraction * len(identities)), _LEAST)
    if len(identities) - held < _LEAST:
        raise DataError(
            f"data.val_fraction {fraction} of {len(identities)} training identities would leave "
            f"{max(len(identities) - held, 0)} to train on. Lower it, or set it to 0 for no validation."
        )
    shuffled = stream("validation identities", seed).permutation(identities)
    return np.sort(shuffled[held:]), np.sort(shuffled[:held])


def query_and_gallery(
    rows: NDArray[np.int64], pid: NDArray[np.int32], camera: NDArray[np.int32], seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Makes queries and a gallery of the held-out images.

    With cameras, one image of each (identity, camera) is a query if the identity has another camera, and the gallery
    is all images: those of the query's own camera, the query included, are junk by the camera rule. Without any
    camera (all -1), one image of each identity with several is a query, and the gallery is all the others.

    Args:
        rows: Manifest rows of the held-out identities, `(N,)`.
        pid: Identity of each, `(N,)`.
        camera: Camera of each, `(N,)`; -1 = unknown.
        seed: Seed of the choice of the queries.

    Returns:
        The rows of the queries and of the gallery, both ascending.
    """
    shuffle = stream("validation queries", seed).permutation(len(rows))
    pairs = np.stack([pid[shuffle], camera[shuffle]], 1)  # (N, 2)
    _, first = np.unique(pairs, axis=0, return_index=True)  # one random image of each (identity, camera)
    query = np.sort(rows[shuffle[first]])
    at = np.searchsorted(np.sort(rows), query)
    order = np.argsort(rows)
    query_pid, query_camera = pid[order][at], camera[order][at]
    if np.all(camera < 0):
        several = np.isin(query_pid, [p for p, n in zip(*np.unique(pid, return_counts=True), strict=True) if n > 1])
        return query[several], np.setdiff1d(rows, query[several])
    return query[has_match(query_pid, query_camera, pid, camera)], np.sort(rows)


def has_match(
    query_pid: NDArray[np.int32],
    query_camera: NDArray[np.int32],
    gallery_pid: NDArray[np.int32],
    gallery_camera: NDArray[np.int32],
) -> NDArray[np.bool_]:
    """Which queries have a match in the gallery: the same identity, seen by another camera.

    Where the gallery knows no camera at all, the same identity is enough.

    Args:
        query_pid: Identity of each query, `(Q,)`.
        query_camera: Camera of each query, `(Q,)`; -1 = unknown.
        gallery_pid: Identity of each gallery image, `(G,)`; -1 = junk.
        gallery_camera: Camera of each gallery image, `(G,)`; -1 = unknown.

    Returns:
        `(Q,)` bool.
    """
    usable = gallery_pid >= 0
    gallery_pid, gallery_camera = gallery_pid[usable], gallery_camera[usable]
    if np.all(gallery_camera < 0):
        return np.isin(query_pid, gallery_pid) & (query_pid >= 0)
    seen = np.unique(np.stack([gallery_pid, gallery_camera], 1), axis=0).astype(np.int64)  # (P, 2): identity, camera
    cameras = np.searchsorted(seen[:, 0], query_pid, "right") - np.searchsorted(seen[:, 0], query_pid, "left")  # (Q,)
    scale = int(max(seen[:, 1].max(), query_camera.max(initial=0))) + 2
    own = np.isin(query_pid.astype(np.int64) * scale + query_camera + 1, seen[:, 0] * scale + seen[:, 1] + 1)
    return (cameras > own) & (query_pid >= 0)
