"""What a batch will hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsreid.data.bags import Bags


@dataclass(frozen=True, eq=False)
class BatchPlan:
    """Everything about a training batch but its images: N images of B bags.

    Attributes:
        epoch: Keys the augmentation.
        row: Manifest rows, `(N,)` int64.
        bag: Index in 0..B-1 of each image's bag, `(N,)` int64.
        member: Member of each image, `(N,)` int64; -1 where not drawn by bag.
        copy: How often the row was drawn before in this epoch, `(N,)` int64: copies are augmented differently.
        candidates: Class indices, `(B, L)` int64, padded with -1.
        bag_id: `(B,)` int64; -1 where not drawn by bag.
        bag_size: Images in the whole bag, `(B,)` int64.
    """

    epoch: int
    row: NDArray[np.int64]
    bag: NDArray[np.int64]
    member: NDArray[np.int64]
    copy: NDArray[np.int64]
    candidates: NDArray[np.int64]
    bag_id: NDArray[np.int64]
    bag_size: NDArray[np.int64]


def plan_of_bags(bags: Bags, which: Sequence[int], positions: Sequence[NDArray[np.int64]], *, epoch: int) -> BatchPlan:
    """A plan for some images of some bags.

    Args:
        bags: All bags.
        which: The bags to take, B of them.
        positions: Which images of each.
        epoch: Epoch.
    """
    index = np.asarray(which, np.int64)
    bag = np.repeat(np.arange(len(index)), [len(p) for p in positions])  # (N,)
    position = np.concatenate(positions)
    return BatchPlan(
        epoch=epoch,
        row=bags.rows_of(index, bag, position),
        bag=bag,
        member=bags.member_start[index][bag] + position,
        copy=np.zeros(len(bag), np.int64),
        candidates=padded([bags.candidates(b) for b in which]),
        bag_id=bags.bag_id[index],
        bag_size=bags.sizes[index],
    )


def padded(candidates: Sequence[NDArray[np.int32]]) -> NDArray[np.int64]:
    """Label sets of different lengths as one array `(B, L)`, padded with -1."""
    result = np.full((len(candidates), max(len(c) for c in candidates)), -1, np.int64)
    for row, labels in zip(result, candidates, strict=True):
        row[: len(labels)] = labels
    return result
