"""The protocol `windows`: consecutive images of one camera and sequence."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wsreid.data.bag_draft import BagDraft, draft_from_images


def window_bags(
    rows: NDArray[np.int64],
    classes: NDArray[np.int64],
    camera: NDArray[np.int64],
    sequence: NDArray[np.int64],
    frame: NDArray[np.int64],
    *,
    window: int,
    window_frames: int | None,
) -> BagDraft:
    """Cuts the images of each camera and sequence, in frame order, into windows.

    Args:
        rows: Manifest rows to put into bags, unique, `(N,)`.
        classes: Class index of each row, `(N,)`.
        camera: Camera of each row, `(N,)`.
        sequence: Sequence of each row, `(N,)`.
        frame: Frame of each row, `(N,)`; images of one frame stay in row order.
        window: Images in a window; a sequence's last window may hold fewer.
        window_frames: If given, a window is this many frames instead, counted from the sequence's first image; spans
            without an image give no bag.

    Returns:
        The bags, ordered by camera, sequence and frame; each one's candidates are the identities seen in it. No bag
        spans two cameras or sequences, and every image is in exactly one bag.
    """
    order = np.lexsort((rows, frame, sequence, camera))
    rows, classes, camera, sequence, frame = (x[order] for x in (rows, classes, camera, sequence, frame))
    starts = np.ones(len(rows), bool)
    starts[1:] = (np.diff(camera) != 0) | (np.diff(sequence) != 0)
    first = np.flatnonzero(starts)  # (S,): first image of each sequence
    group = np.cumsum(starts) - 1  # (N,): which sequence
    if window_frames is None:
        span = (np.arange(len(rows)) - first[group]) // window
    else:
        span = (frame - frame[first][group]) // window_frames
    cut = starts.copy()
    cut[1:] |= np.diff(span) != 0
    return draft_from_images(np.cumsum(cut) - 1, rows, classes)
