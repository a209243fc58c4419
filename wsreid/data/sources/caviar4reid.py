"""CAVIAR4REID (Cheng et al., "Custom Pictorial Structures for Re-identification", BMVC 2011)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar, Final, Literal

from wsreid.data.published import PUBLISHED, WHOLE, SplitCount
from wsreid.data.records import ImageRecords, Split
from wsreid.data.seeding import stream
from wsreid.data.sources.archive_folder import archive_folder
from wsreid.data.sources.base import Source
from wsreid.data.sources.builder import ImageEntry, RecordsBuilder
from wsreid.data.sources.compared import compared
from wsreid.data.sources.scan import Found, scan
from wsreid.data.sources.two_cameras import CAMERAS, Sighting, TwoCameraSplit, cameras_of, without_copies
from wsreid.errors import ConfigError

_FOLDER: Final = "CAVIARa"
_NAME: Final = re.compile(r"(?P<pid>\d{4})(?P<number>\d{3})\.[A-Za-z]+", re.ASCII)
_SIZES: Final = (5, 10)  # images of an identity and camera in the two sizes the set is found in: 610 and 1,220 images


class CAVIAR4REID(Source):
    """CAVIAR4REID: a folder CAVIARa with images named `<identity, four digits><number, three digits>.jpg`.

    50 of the 72 identities were seen by both cameras, 22 by one. The names do not say which camera took an image, nor
    do the set's authors. The set is found in two sizes, with 5 or 10 images of an identity and camera; that an
    identity's first 5 or 10 numbers are one camera's and the rest the other's follows from those counts, not from a
    document. Half of the identities that both cameras saw are tested; all others train. The ten splits are drawn
    here, by seed: they are not those of any paper.

    Args:
        split: Which of the ten splits, 0 to 9.
        cameras: `by number`: an identity's first images are from one camera and the rest from the other, as above;
            the camera of an identity that one camera alone saw is unknown. `unknown`: no camera is taken from the
            names; half of all identities are tested, a seeded half of the images of each are queries, and an image of
            the same identity is always a match.
        images_per_camera: Images of an identity and camera, 5 or 10; left out, 5 if no number is above 10.
    """

    name: ClassVar[str] = "caviar4reid"
    where: ClassVar[str] = (
        "It must be the unpacked folder CAVIAR4REID, which holds the folder CAVIARa with images like "
        "CAVIARa/0001001.jpg; its authors offer it at lorisbaz.github.io/caviar4reid.html."
    )

    def __init__(
        self,
        split: int = 0,
        cameras: Literal["by number", "unknown"] = "by number",
        images_per_camera: int | None = None,
    ) -> None:
        if cameras not in ("by number", "unknown"):
            raise ConfigError(f"{self.name}: cameras must be 'by number' or 'unknown', got {cameras!r}")
        if images_per_camera is not None and images_per_camera not in _SIZES:
            raise ConfigError(f"{self.name}: images_per_camera must be 5 or 10, got {images_per_camera}")
        self._split = TwoCameraSplit(self.name, split)
        self.cameras = cameras
        self.images_per_camera = images_per_camera

    def settings(self) -> Mapping[str, str | int | bool | None]:
        """See `Source.settings`."""
        return {"split": self._split.split, "cameras": self.cameras, "images_per_camera": self.images_per_camera}

    def watched(self, root: Path) -> Iterable[Path]:
        """The folder of the images."""
        return [self._folder(root)]

    def index(self, root: Path) -> ImageRecords:
        """Lists the images; see `Source.index`."""
        found, problems = scan(self._folder(root), root)
        builder = RecordsBuilder(self.name)
        builder.problems(problems)
        sightings = without_copies(_sightings(found, builder), builder)
        if self.cameras == "by number":
            builder.add(self._split.deal(self._with_cameras(sightings, builder), builder, train_on_one_camera=True))
        else:
            builder.add(self._without_cameras(sightings, builder))
        records = builder.records()
        whole = SplitCount(len(sightings), len(cameras_of(sightings)))
        small = whole.images == PUBLISHED[self.name].images
        return records if small else compared(records, self.name, {WHOLE: whole})

    def _with_cameras(self, sightings: list[Sighting], builder: RecordsBuilder) -> list[Sighting]:
        """Takes the cameras from the numbers; those beyond two cameras' images become problems."""
        highest = max((s.frame for s in sightings), default=0)
        per_camera = self.images_per_camera or (_SIZES[0] if highest <= 2 * _SIZES[0] else _SIZES[1])
        builder.note(
            f"the names do not say the camera: an identity's numbers 1 to {per_camera} are taken for one camera's and "
            f"{per_camera + 1} to {2 * per_camera} for the other's"
        )
        usable: list[Sighting] = []
        for sighting in sightings:
            if sighting.frame <= 2 * per_camera:
                usable.append(sighting)
            else:
                reason = f"has the number {sighting.frame}, but two cameras with {per_camera} images each give"
                builder.problem(sighting.image.file, f"{reason} {2 * per_camera}: see images_per_camera")
        both = {s.pid for s in usable if s.frame <= per_camera} & {s.pid for s in usable if s.frame > per_camera}
        return [
            s._replace(camera=-1 if s.pid not in both else CAMERAS["a" if s.frame <= per_camera else "b"])
            for s in usable
        ]

    def _without_cameras(self, sightings: list[Sighting], builder: RecordsBuilder) -> list[ImageEntry]:
        """Half of the identities are tested, with a seeded half of the images of each as queries."""
        images: dict[int, list[Sighting]] = {}
        for sighting in sightings:
            images.setdefault(sighting.pid, []).append(sighting)
        test = self._split.draw([pid for pid, shots in images.items() if len(shots) > 1])
        builder.note(
            f"{self._split.drawn(len(images) - len(test), len(test))}, "
            "half of the images of each as queries, whatever their camera"
        )
        entries: list[ImageEntry] = []
        for pid, shots in images.items():
            order = stream("caviar4reid queries", self._split.split, pid).permutation(len(shots))
            for place, s in zip(order.tolist(), shots, strict=True):
                asked = Split.QUERY if place < len(shots) // 2 else Split.GALLERY
                split = asked if pid in test else Split.TRAIN
                entries.append(ImageEntry(split, -1, -1, s.frame, s.image.file, pid, s.image.size))
        return sorted(entries)

    def _folder(self, root: Path) -> Path:
        return archive_folder(self, root, ["CAVIAR4REID"], [_FOLDER]) / _FOLDER


def _sightings(found: list[Found], builder: RecordsBuilder) -> list[Sighting]:
    """Reads identities and numbers; the cameras stay unknown."""
    sightings: list[Sighting] = []
    for image in found:
        match = _NAME.fullmatch(image.name)
        if match is None or int(match["number"]) < 1:
            builder.problem(image.file, "has a name that does not parse: expected one like 0001001.jpg")
        elif int(match["pid"]) < 1:
            builder.problem(image.file, "names no identity (0000): identities count from 0001")
        else:
            sightings.append(Sighting(int(match["pid"]), -1, int(match["number"]), image))
    return sightings
