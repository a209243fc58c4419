"""Bags in a few figures: how large, how many candidates, how uneven, how wrong."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wsreid.data.bag_draft import BagDraft

Ints = NDArray[np.int64]

_MEMBERS: Final = 1 << 22  # at a time, so that bags with 266 million of them need no more memory
_LINES: Final = 12


@dataclass(frozen=True)
class Spread:
    """Some whole numbers in four figures."""

    least: int
    median: float
    mean: float
    most: int

    @staticmethod
    def of(values: Ints) -> Spread:
        """The spread of `(N,)` values, at least one."""
        return Spread(int(values.min()), float(np.median(values)), float(values.mean()), int(values.max()))


@dataclass(frozen=True)
class Against:
    """Bags beside the identities of their images, where these are known.

    Attributes:
        ids_per_bag: Identities whose images a bag holds, `Spread` over the bags.
        largest: Share of a bag's images that its most frequent identity has, mean over the bags.
        uncovered: Share of the members whose identity the label of their bag does not name.
        absent: Share of the candidates of whom their bag holds no image.
        guess: Share of the members that a guess finds, drawn uniformly among the candidates of the bag.
    """

    ids_per_bag: Spread
    largest: float
    uncovered: float
    absent: float
    guess: float


@dataclass(frozen=True)
class BagStatistics:
    """Bags in a few figures.

    Attributes:
        bags: Number of bags.
        members: (bag, image) pairs.
        images: Different images.
        most_bags: Most bags that one image lies in.
        named: Identities that some label names.
        images_per_bag: Over the bags.
        candidates_per_bag: Over the bags.
        bags_per_id: Bags whose label names an identity, over the identities that some label names.
        guess: Share of the members that a guess finds, drawn uniformly among the candidates of the bag, if the
            identity is always one of them.
        against: What the images' identities tell; None = they are not known.
        images_histogram: Bags by images per bag: from, to (included), bags.
        candidates_histogram: Bags by candidates: from, to (included), bags.
    """

    bags: int
    members: int
    images: int
    most_bags: int
    named: int
    images_per_bag: Spread
    candidates_per_bag: Spread
    bags_per_id: Spread
    guess: float
    against: Against | None
    images_histogram: tuple[tuple[int, int, int], ...]
    candidates_histogram: tuple[tuple[int, int, int], ...]

    @property
    def bags_per_image(self) -> float:
        """Mean number of bags that an image lies in."""
        return self.members / self.images


def bag_statistics(draft: BagDraft, truth: NDArray[np.signedinteger] | None = None) -> BagStatistics:
    """Counts bags.

    Args:
        draft: The bags, at least one.
        truth: Class index of each manifest row, -1 = unknown, `(rows of the manifest,)`; None = not known.

    Returns:
        Their figures.
    """
    ends = np.cumsum(draft.range_stop - draft.range_start)[draft.range_offsets[1:] - 1]
    sizes = np.diff(ends, prepend=0)  # (B,)
    labels = np.diff(draft.candidate_offsets)  # (B,)
    times = np.bincount(draft.candidates)
    images, most_bags = _coverage(draft)
    return BagStatistics(
        bags=len(draft),
        members=int(sizes.sum()),
        images=images,
        most_bags=most_bags,
        named=int((times > 0).sum()),
        images_per_bag=Spread.of(sizes),
        candidates_per_bag=Spread.of(labels),
        bags_per_id=Spread.of(times[times > 0]),
        guess=float((sizes / labels).sum() / sizes.sum()),
        against=None if truth is None else _against(draft, sizes, truth),
        images_histogram=histogram(sizes),
        candidates_histogram=histogram(labels),
    )


def histogram(values: Ints, lines: int = _LINES) -> tuple[tuple[int, int, int], ...]:
    """Counts whole numbers in equal steps of 1, 2 or 5 times a power of ten.

    Args:
        values: `(N,)`, not negative.
        lines: Most steps.

    Returns:
        From, to (included) and count of each step from the least value to the greatest, empty ones included.
    """
    least, most = int(values.min()), int(values.max())
    step = next(
        width
        for power in range(20)
        for width in (10**power, 2 * 10**power, 5 * 10**power)
        if most // width - least // width < lines
    )
    count = np.bincount(values // step - least // step)
    first = least // step * step
    return tuple((first + i * step, first + (i + 1) * step - 1, int(n)) for i, n in enumerate(count))


def _coverage(draft: BagDraft) -> tuple[int, int]:
    """How many different rows the bags hold, and in how many bags a row lies at most; no array over the rows."""
    bound = np.concatenate([draft.range_start, draft.range_stop])
    step = np.repeat([1, -1], len(draft.range_start))
    order = np.argsort(bound, kind="stable")
    depth = np.cumsum(step[order])[:-1]  # bags that hold the rows between two neighbouring bounds
    width = np.diff(bound[order])
    return int(width[depth > 0].sum()), int(depth[width > 0].max())


def _against(draft: BagDraft, sizes: Ints, truth: NDArray[np.signedinteger]) -> Against:
    scale = int(max(truth.max(), draft.candidates.max())) + 2
    named = draft.owner * scale + draft.candidates + 1  # (M,): ascending, as a class -1 would come first
    labels = np.diff(draft.candidate_offsets)
    ids: list[Ints] = []
    largest = uncovered = present = guess = 0.0
    for first, last in _chunks(sizes):
        ranges = slice(int(draft.range_offsets[first]), int(draft.range_offsets[last]))
        length = draft.range_stop[ranges] - draft.range_start[ranges]
        begin = np.cumsum(length) - length
        row = np.arange(int(length.sum())) + np.repeat(draft.range_start[ranges] - begin, length)  # (S,)
        bag = np.repeat(np.arange(first, last), sizes[first:last])  # (S,)
        pair, images = np.unique(bag * scale + truth[row] + 1, return_counts=True)  # bag and identity
        known = np.isin(pair, named)
        owner = pair // scale - first
        real = pair % scale > 0
        ids.append(np.bincount(owner[real], minlength=last - first))
        most = np.zeros(last - first, np.int64)
        np.maximum.at(most, owner[real], images[real])
        largest += float((most / sizes[first:last]).sum())
        uncovered += int(images[~known].sum())
        present += int(known.sum())
        guess += float((images[known] / labels[owner[known] + first]).sum())
    members = int(sizes.sum())
    return Against(
        ids_per_bag=Spread.of(np.concatenate(ids)),
        largest=largest / len(sizes),
        uncovered=uncovered / members,
        absent=1 - present / len(named),
        guess=guess / members,
    )


def _chunks(sizes: Ints) -> list[tuple[int, int]]:
    """Cuts the bags into stretches of few enough members each, at least one bag."""
    cuts = [0]
    ends = np.cumsum(sizes)
    while cuts[-1] < len(sizes):
        done = int(ends[cuts[-1] - 1]) if cuts[-1] else 0
        cuts.append(max(int(np.searchsorted(ends, done + _MEMBERS, side="right")), cuts[-1] + 1))
    return list(pairwise(cuts))
