"""The validation split: training identities held out, scored as query and gallery across cameras."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wsreid.data.seeding import stream
from wsreid.errors import DataError

_LEAST = 2  # identities on either side: with one alone every ranking is perfect
_CAMERA_BITS = 32


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
    pairs = _pairs(pid[shuffle], camera[shuffle])
    _, first = np.unique(pairs, return_index=True)  # one random image of each (identity, camera)
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
    without = bool(np.all(gallery_camera[gallery_pid >= 0] < 0))
    asked = (gallery_pid >= 0) & np.isin(gallery_pid, query_pid)  # few of a gallery of distractors
    gallery_pid, gallery_camera = gallery_pid[asked], gallery_camera[asked]
    if without:
        return np.isin(query_pid, gallery_pid)
    seen = np.unique(_pairs(gallery_pid, gallery_camera))
    identity = seen >> _CAMERA_BITS
    cameras = np.searchsorted(identity, query_pid, "right") - np.searchsorted(identity, query_pid, "left")  # (Q,)
    return cameras > np.isin(_pairs(query_pid, query_camera), seen)


def _pairs(pid: NDArray[np.int32], camera: NDArray[np.int32]) -> NDArray[np.int64]:
    """(identity, camera) as one number each, `(N,)`, in the same order; both are at least -1."""
    return (pid.astype(np.int64) << _CAMERA_BITS) + camera + 1
