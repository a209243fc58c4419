"""What a search for images answers, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Hit:
    """A gallery image that was found.

    Attributes:
        rank: Its place, from 1.
        score: How alike it is; under `euclidean` the distance.
        row: Its row in the data set, or in the file of features that names none.
        identity: What the data set calls the person; None = unknown.
        camera: None = unknown.
        path: Where the image is; None = unknown.
        exact_rank: Its place in the exact list; None = it is not in it, or nobody asked.
    """

    rank: int
    score: float
    row: int
    identity: str | None = None
    camera: int | None = None
    path: str | None = None
    exact_rank: int | None = None


@dataclass(frozen=True)
class Answer:
    """What was found for one image.

    Attributes:
        image: Its file.
        hits: The gallery images, best first.
        recall: Share of the exact list's first images that are among the first of `hits`; None = nobody asked.
        missed: Rows of the exact list that are not among the hits, best first.
    """

    image: Path
    hits: tuple[Hit, ...]
    recall: float | None = None
    missed: tuple[int, ...] = ()
