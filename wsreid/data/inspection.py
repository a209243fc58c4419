"""Looking into a prepared data set: its splits, its images, its bags, and the queries that would not be scored."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wsreid.data.bags import Bags
from wsreid.data.images import UnreadableImage, read_image
from wsreid.data.manifest import Manifest, Split
from wsreid.data.records import pieces
from wsreid.data.seeding import stream
from wsreid.data.splits import has_match

_NAMED: Final = 5
"""Examples kept of each kind; nothing here grows with a set of 29.6 million rows."""


@dataclass(frozen=True)
class Spread:
    """The least, the middle and the largest of some numbers."""

    least: int
    median: float
    most: int

    @classmethod
    def of(cls, numbers: Sequence[int] | NDArray[np.integer]) -> Spread | None:
        """Of at least one number; None of none."""
        if not len(numbers):
            return None
        return cls(int(np.min(numbers)), float(np.median(numbers)), int(np.max(numbers)))

    def __str__(self) -> str:
        return f"{self.least:,} to {self.most:,}, median {self.median:,.4g}"


@dataclass(frozen=True)
class SplitSummary:
    """What a split holds.

    Attributes:
        split: Which one.
        images: Its rows.
        identities: Different identities, distractors not counted; of the training split, the classes.
        cameras: Different known cameras.
        distractors: Images of identity 0; in the training split these are no distractors, and 0.
        unknown: Images without identity (-1).
    """

    split: Split
    images: int
    identities: int
    cameras: int
    distractors: int
    unknown: int


def split_summaries(manifest: Manifest) -> list[SplitSummary]:
    """What the three splits hold; reads the columns pid and camera once, in pieces."""
    summaries: list[SplitSummary] = []
    for split in Split:
        span = manifest.row_range(split)
        pid, camera = manifest.pid[span.start : span.stop], manifest.camera[span.start : span.stop]
        identities = _different(pid)
        train = split == Split.TRAIN
        summaries.append(
            SplitSummary(
                split,
                len(span),
                len(manifest.identities) if train else len(identities - {0, -1}),
                len(_different(camera) - {-1}),
                0 if train else sum(int(np.count_nonzero(piece == 0)) for piece in pieces(pid)),
                sum(int(np.count_nonzero(piece < 0)) for piece in pieces(pid)),
            )
        )
    return summaries


@dataclass(frozen=True)
class OpenedImages:
    """Images that were read and decoded.

    Attributes:
        opened: How many were tried.
        height: Of those that can be read, in pixels; None = there is none.
        width: The same.
        unreadable: How many cannot be read.
        reasons: What is wrong with the first of them, each naming its file.
    """

    opened: int
    height: Spread | None
    width: Spread | None
    unreadable: int
    reasons: tuple[str, ...]


def sampled_rows(manifest: Manifest, images: int | None, seed: int) -> Sequence[int]:
    """The rows of images to look at.

    Args:
        manifest: The images.
        images: How many, drawn over all splits; None = all.
        seed: Of the draw.

    Returns:
        Rows, ascending.
    """
    if images is None or images >= len(manifest):
        return range(len(manifest))
    chosen = stream("images to check", seed).choice(len(manifest), images, replace=False)
    return [int(row) for row in np.sort(chosen)]


def open_images(manifest: Manifest, rows: Iterable[int], shown: int = 20) -> OpenedImages:
    """Reads and decodes images.

    Args:
        manifest: The images.
        rows: Which of them.
        shown: How many unreadable ones are named.

    Returns:
        Their sizes, and those that cannot be read.
    """
    heights, widths = _Histogram(), _Histogram()
    opened = unreadable = 0
    reasons: list[str] = []
    for row in rows:
        opened += 1
        try:
            height, width, _ = read_image(manifest.location(row)).shape
        except UnreadableImage as error:
            unreadable += 1
            if len(reasons) < shown:
                reasons.append(str(error))
            continue
        heights.add(height)
        widths.add(width)
    return OpenedImages(opened, heights.spread(), widths.spread(), unreadable, tuple(reasons))


@dataclass(frozen=True)
class LostQueries:
    """Queries that no protocol with the junk rule can score.

    Attributes:
        queries: All queries.
        unknown: Those of no identity.
        absent: Those whose identity the gallery does not have.
        own_camera: Those whose identity the gallery has from their own camera alone.
        examples: Files of the first few lost ones.
    """

    queries: int
    unknown: int
    absent: int
    own_camera: int
    examples: tuple[str, ...]

    @property
    def lost(self) -> int:
        """How many are lost."""
        return self.unknown + self.absent + self.own_camera


def lost_queries(manifest: Manifest) -> LostQueries:
    """The queries that have no match in the gallery, and why."""
    query, gallery = (manifest.row_range(split) for split in (Split.QUERY, Split.GALLERY))
    q_pid, q_camera = manifest.pid[query.start : query.stop], manifest.camera[query.start : query.stop]
    g_pid, g_camera = manifest.pid[gallery.start : gallery.stop], manifest.camera[gallery.start : gallery.stop]
    if not len(query):
        return LostQueries(0, 0, 0, 0, ())
    matched = has_match(q_pid, q_camera, g_pid, g_camera) if len(gallery) else np.zeros(len(query), bool)
    named = q_pid >= 0
    there = np.isin(q_pid, g_pid)
    return LostQueries(
        len(query),
        int((~named).sum()),
        int((named & ~there & ~matched).sum()),
        int((named & there & ~matched).sum()),
        tuple(manifest.file(query.start + int(place)) for place in np.flatnonzero(~matched)[:_NAMED]),
    )


@dataclass(frozen=True)
class BagSummary:
    """What a bag file holds.

    Attributes:
        protocol: How the bags were made.
        bags: How many.
        members: Images over all bags.
        sizes: Images a bag.
        candidates: Candidates a bag.
    """

    protocol: str
    bags: int
    members: int
    sizes: Spread | None
    candidates: Spread | None


def bag_summary(bags: Bags) -> BagSummary:
    """What bags hold."""
    labels = [len(bags.candidates(bag)) for bag in range(len(bags))]
    return BagSummary(bags.settings.protocol, len(bags), bags.n_members, Spread.of(bags.sizes), Spread.of(labels))


class _Histogram:
    """Counts of whole numbers, which take less memory than the numbers of millions of images."""

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}

    def add(self, number: int) -> None:
        self._counts[number] = self._counts.get(number, 0) + 1

    def spread(self) -> Spread | None:
        if not self._counts:
            return None
        numbers = np.array(sorted(self._counts))
        ends = np.cumsum([self._counts[number] for number in numbers.tolist()])
        total = int(ends[-1])
        middle = numbers[np.searchsorted(ends, [(total - 1) // 2, total // 2], "right")]
        return Spread(int(numbers[0]), float(middle.mean()), int(numbers[-1]))


def _different(column: NDArray[np.int32]) -> set[int]:
    return {int(value) for piece in pieces(column) for value in np.unique(piece)}
