"""What the bags' labels give away on their own: the candidates that all bags of an image have in common."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsreid.data.bag_draft import BagDraft

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Leak:
    """How far the labels of an image's bags alone, without a look at the image, determine its identity.

    Attributes:
        images: Images that lie in a bag.
        single: Share of the images with one candidate left when the labels of all their bags are intersected.
        empty: Share of the images with none left: their labels contradict each other, which noise alone can do.
        left: Mean number of candidates left.
        right: Share of the images whose one candidate left is their identity; None = the identities are not known.
    """

    images: int
    single: float
    empty: float
    left: float
    right: float | None


@dataclass(frozen=True)
class _Known:
    """What is known of the images after some drawings of bags.

    The rows are cut into A pieces, within which all images lie in the same bags. `key` holds the pairs of piece and
    candidate left, as piece * classes + candidate, ascending.
    """

    start: Ints  # (A,)
    stop: Ints  # (A,)
    key: Ints  # (K,)


def leaks(drawings: Iterable[BagDraft], classes: int, truth: NDArray[np.signedinteger] | None = None) -> Iterator[Leak]:
    """Intersects the labels of all bags that an image has lain in so far, after each drawing of the bags.

    A piece of rows that lie in the same bags is counted as one, so whole folders in bags cost as much as one image.

    Args:
        drawings: The bags of each epoch; bags that stay fixed are one drawing.
        classes: Number of class indices, C.
        truth: Class index of each manifest row, -1 = unknown, `(rows of the manifest,)`; None = not known.

    Yields:
        What is given away after 1, 2, ... drawings.
    """
    known: _Known | None = None
    for draft in drawings:
        found = _labels_meet(draft, classes)
        known = found if known is None else _both(known, found, classes)
        yield _summary(known, classes, truth)


def _labels_meet(draft: BagDraft, classes: int) -> _Known:
    """The candidates in common, in one drawing."""
    bounds = np.unique(np.concatenate([draft.range_start, draft.range_stop]))
    first, last = np.searchsorted(bounds, draft.range_start), np.searchsorted(bounds, draft.range_stop)
    bag_of_range = np.repeat(np.arange(len(draft)), np.diff(draft.range_offsets))
    piece = _spans(first, last - first)  # (P,): pieces of all ranges
    bag = np.repeat(bag_of_range, last - first)  # (P,)
    bags = np.bincount(piece, minlength=len(bounds) - 1)  # (A,): bags that hold the piece; 0 = rows in no bag
    count = np.diff(draft.candidate_offsets)[bag]  # (P,): candidates of each
    candidate = draft.candidates[_spans(draft.candidate_offsets[:-1][bag], count)]
    key, times = np.unique(np.repeat(piece, count) * classes + candidate, return_counts=True)
    key = key[times == bags[key // classes]]  # named by each of the bags
    held = bags > 0
    place = np.cumsum(held) - 1
    return _Known(bounds[:-1][held], bounds[1:][held], place[key // classes] * classes + key % classes)


def _both(before: _Known, now: _Known, classes: int) -> _Known:
    """What two drawings leave; an image that lies in the bags of one alone keeps what that one says."""
    bounds = np.unique(np.concatenate([before.start, before.stop, now.start, now.stop]))
    start, stop = bounds[:-1], bounds[1:]
    (in_before, old), (in_now, new) = (_recut(known, start, classes) for known in (before, now))
    both = np.intersect1d(old, new, assume_unique=True)
    alone = [key[~other[key // classes]] for key, other in ((old, in_now), (new, in_before))]
    held = in_before | in_now
    place = np.cumsum(held) - 1
    key = np.sort(np.concatenate([both, *alone]))
    return _Known(start[held], stop[held], place[key // classes] * classes + key % classes)


def _recut(known: _Known, start: Ints, classes: int) -> tuple[NDArray[np.bool_], Ints]:
    """Which of finer pieces are held, `(A,)`, and their keys."""
    at = np.maximum(np.searchsorted(known.start, start, side="right") - 1, 0)  # (A,): the old piece of each new one
    held = (known.start[at] <= start) & (start < known.stop[at])
    first = np.searchsorted(known.key, at * classes)
    count = np.where(held, np.searchsorted(known.key, (at + 1) * classes) - first, 0)
    return held, np.repeat(np.arange(len(start)), count) * classes + known.key[_spans(first, count)] % classes


def _spans(first: Ints, count: Ints) -> Ints:
    """The numbers first, first + 1, ... of each span, one span after the other, `(sum of count,)`."""
    numbers: Ints = np.arange(int(count.sum())) + np.repeat(first - (np.cumsum(count) - count), count)
    return numbers


def _summary(known: _Known, classes: int, truth: NDArray[np.signedinteger] | None) -> Leak:
    length = known.stop - known.start  # (A,): images of each piece
    left = np.bincount(known.key // classes, minlength=len(length))  # (A,)
    images = int(length.sum())
    single = left == 1
    right = None
    if truth is not None:
        one = known.key[single[known.key // classes]]  # (A with one left,): in the order of the pieces
        rows = _spans(known.start[single], length[single])
        right = float((truth[rows] == np.repeat(one % classes, length[single])).sum() / images)
    return Leak(
        images=images,
        single=float(length[single].sum() / images),
        empty=float(length[left == 0].sum() / images),
        left=float((left * length).sum() / images),
        right=right,
    )
