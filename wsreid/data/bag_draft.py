"""Bags as a protocol makes them: flat arrays, before they are saved."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class BagDraft:
    """B bags as flat arrays; ragged parts are cut by offsets.

    Attributes:
        bag_id: `(B,)` int64.
        candidates: Class indices of all bags one after the other, ascending and unique within a bag, `(M,)` int32.
        candidate_offsets: Bag b has `candidates[candidate_offsets[b] : candidate_offsets[b + 1]]`, `(B + 1,)` int64.
        range_start: First manifest row of each row range, `(R,)` int64.
        range_stop: Last manifest row of each row range, plus one, `(R,)` int64.
        range_offsets: Bag b has the ranges `range_offsets[b]` to `range_offsets[b + 1]`, `(B + 1,)` int64.
    """

    bag_id: Ints
    candidates: NDArray[np.int32]
    candidate_offsets: Ints
    range_start: Ints
    range_stop: Ints
    range_offsets: Ints

    def __len__(self) -> int:
        return len(self.bag_id)

    @property
    def owner(self) -> Ints:
        """The bag of each entry of `candidates`, `(M,)`."""
        return np.repeat(np.arange(len(self)), np.diff(self.candidate_offsets))


def offsets_of(owner: Ints, bags: int) -> Ints:
    """Offsets `(bags + 1,)` of the runs in a sorted `owner` `(N,)` of numbers below `bags`."""
    return np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=bags))]).astype(np.int64)


def draft_from_images(owner: Ints, rows: Ints, classes: Ints) -> BagDraft:
    """Makes bags from images; each bag's candidates are the identities of its images.

    Args:
        owner: Bag of each image, all of 0..B-1, `(N,)`.
        rows: Manifest row of each image, unique within a bag, `(N,)`.
        classes: Class index of each image, `(N,)`.

    Returns:
        B bags with the ids 0..B-1; within a bag the rows ascend, and neighbouring rows share one range.
    """
    bags = int(owner.max()) + 1
    order = np.lexsort((rows, owner))
    owner, rows, classes = owner[order], rows[order], classes[order]
    first = np.ones(len(rows), bool)
    first[1:] = (np.diff(rows) != 1) | (np.diff(owner) != 0)
    last = np.append(first[1:], True)
    labels = np.unique(np.stack([owner, classes], 1), axis=0)  # (N, 2) -> (M, 2)
    return BagDraft(
        bag_id=np.arange(bags, dtype=np.int64),
        candidates=labels[:, 1].astype(np.int32),
        candidate_offsets=offsets_of(labels[:, 0], bags),
        range_start=rows[first],
        range_stop=rows[last] + 1,
        range_offsets=offsets_of(owner[first], bags),
    )
