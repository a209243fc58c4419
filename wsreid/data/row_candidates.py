"""The candidates of single images, over all bags that they lie in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wsreid.data.bags import Bags

Ints = NDArray[np.int64]


def row_candidates(bags: Bags, rows: Ints) -> tuple[Ints, Ints]:
    """The union of the labels of an image's bags, for some images.

    Args:
        bags: The bags.
        rows: Manifest rows, ascending and unique, `(N,)`.

    Returns:
        Pairs, sorted and each once: index in `rows` `(P,)` and class `(P,)`. An image in no bag is in no pair.
    """
    draft = bags.draft
    first = np.searchsorted(rows, draft.range_start)
    count = np.searchsorted(rows, draft.range_stop) - first  # (R,): images of each row range
    bag = np.repeat(np.repeat(np.arange(len(bags)), np.diff(draft.range_offsets)), count)  # (M,)
    image = _runs(first, count)  # (M,)
    width = np.diff(draft.candidate_offsets)[bag]  # (M,)
    classes = draft.candidates[_runs(draft.candidate_offsets[bag], width)].astype(np.int64)  # (P,)
    span = int(classes.max(initial=0)) + 1
    pairs = np.unique(np.repeat(image, width) * span + classes)
    return pairs // span, pairs % span


def _runs(start: Ints, length: Ints) -> Ints:
    """start[0], start[0] + 1, ..., for `length[0]` numbers, then those of the next run."""
    result: Ints = np.repeat(start - (np.cumsum(length) - length), length) + np.arange(length.sum())
    return result
