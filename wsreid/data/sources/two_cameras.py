"""The seeded splits of data sets that have two cameras and no official split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from wsreid.data.records import Split
from wsreid.data.seeding import stream
from wsreid.data.sources.builder import ImageEntry, RecordsBuilder
from wsreid.data.sources.scan import Found
from wsreid.errors import ConfigError, DataError

SPLITS: Final = 10
"""Number of seeded splits, the usual number of repeats for small data sets."""

CameraName = Literal["a", "b"]
CAMERAS: Final[Mapping[CameraName, int]] = {"a": 1, "b": 2}
"""Numbers of the two cameras."""


class Sighting(NamedTuple):
    """An image, before it is known which split it belongs to."""

    pid: int
    camera: int
    frame: int
    image: Found


@dataclass(frozen=True)
class TwoCameraSplit:
    """Some identities train, on both cameras; the others are queries in one camera and matches in the other.

    Attributes:
        source: Name of the data set.
        split: Which of the ten seeded splits.
        query_camera: The queries' camera.
        test_ids: Identities to test; None = half of them, rounded up.

    Raises:
        ConfigError: There is no such split or camera, or no identity would be tested.
    """

    source: str
    split: int
    query_camera: CameraName = "a"
    test_ids: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.split < SPLITS:
            raise ConfigError(f"{self.source}: split must be 0 to {SPLITS - 1}, got {self.split}")
        if self.query_camera not in CAMERAS:
            raise ConfigError(f"{self.source}: query_camera must be a or b, got {self.query_camera!r}")
        if self.test_ids is not None and self.test_ids < 1:
            raise ConfigError(f"{self.source}: test_ids must be at least 1, got {self.test_ids}")

    def draw(self, identities: Sequence[int]) -> frozenset[int]:
        """The test identities among those that may be tested.

        Raises:
            DataError: None would be left to train on, or none to test.
        """
        test = (len(identities) + 1) // 2 if self.test_ids is None else self.test_ids
        if not 0 < test < len(identities):
            raise DataError(
                f"{self.source}: {len(identities)} identities could be tested (by the images of both cameras), "
                f"which does not leave {test} to test and one to train on. Complete the data set"
                + (" or lower test_ids." if self.test_ids is not None else ".")
            )
        generator = stream(f"{self.source} test identities", self.split)
        return frozenset(generator.choice(sorted(identities), test, replace=False).tolist())

    def drawn(self, train: int, test: int) -> str:
        """What a reader of the results must know of the draw."""
        return f"split {self.split} of 0..{SPLITS - 1}, drawn here by seed: {train} identities train, {test} are tested"

    def deal(
        self, sightings: Sequence[Sighting], builder: RecordsBuilder, *, train_on_one_camera: bool = False
    ) -> list[ImageEntry]:
        """Gives each image its split, and notes what was drawn.

        Args:
            sightings: The images, none of them twice.
            builder: Takes the notes.
            train_on_one_camera: Identities that one camera alone has seen train; else they are left out.

        Returns:
            The images in the order of a manifest's rows.

        Raises:
            DataError: No identity would be left to train on, or none to test.
        """
        seen = cameras_of(sightings)
        both = [pid for pid, cameras in seen.items() if len(cameras) > 1]
        test = self.draw(both)
        train = (set(seen) if train_on_one_camera else set(both)) - test
        camera = self.query_camera.upper()
        builder.note(f"{self.drawn(len(train), len(test))}, queries from camera {camera}")
        if alone := len(seen) - len(both):
            what = "train" if train_on_one_camera else "are left out"
            builder.note(f"{alone} identities were seen by one camera alone and {what}")
        return sorted(
            ImageEntry(self._split(s, test), s.camera, -1, s.frame, s.image.file, s.pid, s.image.size)
            for s in sightings
            if s.pid in train or s.pid in test
        )

    def _split(self, sighting: Sighting, test: frozenset[int]) -> Split:
        if sighting.pid not in test:
            return Split.TRAIN
        return Split.QUERY if sighting.camera == CAMERAS[self.query_camera] else Split.GALLERY


def cameras_of(sightings: Sequence[Sighting]) -> dict[int, set[int]]:
    """The cameras that saw each identity."""
    seen: dict[int, set[int]] = {}
    for sighting in sightings:
        seen.setdefault(sighting.pid, set()).add(sighting.camera)
    return seen


def without_copies(sightings: Sequence[Sighting], builder: RecordsBuilder) -> list[Sighting]:
    """The images without those that have the identity, camera and number of another; they become problems."""
    first: dict[tuple[int, int, int], Sighting] = {}
    for sighting in sightings:
        known = first.setdefault(sighting[:3], sighting)
        if known is not sighting:
            builder.problem(sighting.image.file, f"has the identity, camera and number of {known.image.file}: keep one")
    return list(first.values())
