"""PRID 2011 (Hirzer et al., "Person Re-Identification by Descriptive and Discriminative Classification", SCIA 2011)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar, Final, Literal

from wsreid.data.published import WHOLE, SplitCount, counted
from wsreid.data.records import ImageRecords, Split
from wsreid.data.sources.archive_folder import archive_folder
from wsreid.data.sources.base import Source
from wsreid.data.sources.builder import ImageEntry, RecordsBuilder
from wsreid.data.sources.compared import compared
from wsreid.data.sources.scan import Found, scan, subfolders
from wsreid.data.sources.two_cameras import (
    CAMERAS,
    CameraName,
    Sighting,
    TwoCameraSplit,
    cameras_of,
    without_copies,
)
from wsreid.errors import ConfigError

_PERSON: Final = re.compile(r"person_(?P<pid>\d{4})", re.ASCII)
_FRAME: Final = re.compile(r"(?P<frame>\d{1,18})\.[A-Za-z]+", re.ASCII)
_IN_BOTH: Final = 200
"""Persons up to this number are the same in both cameras; above it, one number names two persons."""


class PRID2011(Source):
    """PRID 2011: two cameras, one image of each person (single_shot) or a folder of frames (multi_shot).

    Camera A shows 385 persons, camera B 749. Persons 0001 to 0200 are in both; half of them train, the others are
    queries in one camera and matches in the other. The other persons of the gallery's camera join the gallery, as
    non-matches: 649 images, single shot. Those of the queries' camera have no part, as in the usual protocol. The ten
    splits are drawn here, by seed: they are not those of any paper, which draw their own and average.

    Args:
        split: Which of the ten splits, 0 to 9.
        shots: `single`, or `multi`: then each frame is an image of its own.
        query_camera: The camera of the queries.
    """

    name: ClassVar[str] = "prid2011"
    where: ClassVar[str] = (
        "It must be the unpacked folder prid_2011, with images like single_shot/cam_a/person_0001.png or "
        "multi_shot/cam_a/person_0001/0001.png; its authors offer it at "
        "www.tugraz.at/institute/icg/research/team-bischof/lrs/downloads/PRID11."
    )

    def __init__(
        self, split: int = 0, shots: Literal["single", "multi"] = "single", query_camera: CameraName = "a"
    ) -> None:
        if shots not in ("single", "multi"):
            raise ConfigError(f"{self.name}: shots must be single or multi, got {shots!r}")
        self._split = TwoCameraSplit(self.name, split, query_camera)
        self.shots = shots

    def settings(self) -> Mapping[str, str | int | bool | None]:
        """See `Source.settings`."""
        return {"split": self._split.split, "shots": self.shots, "query_camera": self._split.query_camera}

    def watched(self, root: Path) -> Iterable[Path]:
        """The two cameras' folders; with `multi`, those of the persons too."""
        folders = self._folders(root).values()
        return folders if self.shots == "single" else [path for top in folders for path in (top, *subfolders(top))]

    def index(self, root: Path) -> ImageRecords:
        """Lists the images; see `Source.index`."""
        builder = RecordsBuilder(self.name)
        sightings: list[Sighting] = []
        for camera, folder in self._folders(root).items():
            found, problems = scan(folder, root, recursive=self.shots == "multi")
            builder.problems(problems)
            sightings += self._sightings(CAMERAS[camera], found, builder)
        sightings = without_copies(sightings, builder)
        in_both = [s for s in sightings if s.pid <= _IN_BOTH]
        others = [s for s in sightings if s.pid > _IN_BOTH]
        entries = self._split.deal(in_both, builder)
        strangers = [s for s in others if s.camera != CAMERAS[self._split.query_camera]]
        if left_out := len(others) - len(strangers):
            builder.note(f"{left_out} images of persons that the queries' camera alone saw are left out")
        gallery = (
            ImageEntry(Split.GALLERY, s.camera, -1, s.frame, s.image.file, s.pid, s.image.size) for s in strangers
        )
        builder.add(sorted([*entries, *gallery]))
        persons = len(cameras_of(in_both)) + len({(s.pid, s.camera) for s in others})
        return self._compared(builder.records(), SplitCount(len(in_both) + len(others), persons))

    def _sightings(self, camera: int, images: list[Found], builder: RecordsBuilder) -> list[Sighting]:
        """Reads the names: of single shots the file's, of frames the folder's and the file's."""
        sightings: list[Sighting] = []
        for image in images:
            stem = image.name.rpartition(".")[0]
            folder = image.file.split("/")[-2]
            person = _PERSON.fullmatch(stem if self.shots == "single" else folder)
            frame = None if self.shots == "single" else _FRAME.fullmatch(image.name)
            if person is None or (self.shots == "multi" and frame is None) or int(person["pid"]) < 1:
                expected = "person_0001.png" if self.shots == "single" else "person_0001/0001.png"
                builder.problem(image.file, f"has a name that does not parse: expected one like {expected}")
            else:
                number = -1 if frame is None else int(frame["frame"])
                sightings.append(Sighting(int(person["pid"]), camera, number, image))
        return sightings

    def _compared(self, records: ImageRecords, whole: SplitCount) -> ImageRecords:
        """Compares what is published: sizes of single shots with queries from camera A, identities of the rest."""
        counts = {**counted(records), WHOLE: whole}
        if self._split.query_camera != "a":
            del counts["gallery"]
        if self.shots == "multi":
            counts = {split: SplitCount(None, count.identities) for split, count in counts.items()}
        return compared(records, self.name, counts)

    def _folders(self, root: Path) -> dict[CameraName, Path]:
        inner: dict[CameraName, str] = {camera: f"{self.shots}_shot/cam_{camera}" for camera in CAMERAS}
        base = archive_folder(self, root, ["prid_2011"], list(inner.values()))
        return {camera: base / folder for camera, folder in inner.items()}
