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
    overlap: float = 0.0,
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
        overlap: Share of a window that the next one holds too, in [0, 1), rounded to whole images or frames. The last
            window of a sequence is the first one that reaches its end; of windows with the same images one is kept.

    Returns:
        The bags, ordered by camera, sequence and frame; each one's candidates are the identities seen in it. No bag
        spans two cameras or sequences, and every image is in exactly one bag, or with `overlap` in one or more.
    """
    order = np.lexsort((rows, frame, sequence, camera))
    rows, classes, camera, sequence, frame = (x[order] for x in (rows, classes, camera, sequence, frame))
    starts = np.ones(len(rows), bool)
    starts[1:] = (np.diff(camera) != 0) | (np.diff(sequence) != 0)
    first = np.flatnonzero(starts)  # (S,): first image of each sequence
    group = np.cumsum(starts) - 1  # (N,): which sequence
    length = window if window_frames is None else window_frames
    step = max(length - round(overlap * length), 1)
    place = np.arange(len(rows)) - first[group] if window_frames is None else frame - frame[first][group]  # (N,)
    reach = np.maximum.reduceat(place, first)[group] + 1  # (N,): length of the sequence
    last = np.maximum(-(-(reach - length) // step), 0)  # (N,): number of the sequence's last window
    image, span = _memberships(place, last, length, step)  # (M,), (M,): an image may lie in several windows
    order = np.lexsort((image, span, group[image]))
    image, span = image[order], span[order]
    cut = np.ones(len(image), bool)
    cut[1:] = (np.diff(group[image]) != 0) | (np.diff(span) != 0)
    start, stop = image[cut], image[np.append(cut[1:], True)]  # (B,): a window's images are neighbours in time
    kept = np.ones(len(start), bool)
    kept[1:] = (np.diff(start) != 0) | (np.diff(stop) != 0)
    bag = np.cumsum(cut) - 1
    image, bag = image[kept[bag]], (np.cumsum(kept) - 1)[bag[kept[bag]]]
    return draft_from_images(bag, rows[image], classes[image])


def _memberships(
    place: NDArray[np.int64], last: NDArray[np.int64], length: int, step: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The windows that hold each image: window s spans the places from `s * step` on, `length` of them.

    Args:
        place: Place of each image in its sequence, `(N,)`.
        last: Number of the last window of its sequence, `(N,)`.
        length: Length of a window.
        step: From the start of one window to that of the next.

    Returns:
        Image and window of each membership.
    """
    images, spans = [], []
    for back in range(-(-length // step)):
        span = place // step - back
        held = np.flatnonzero((span >= 0) & (span <= last) & (place < span * step + length))
        images.append(held)
        spans.append(span[held])
    return np.concatenate(images), np.concatenate(spans)
