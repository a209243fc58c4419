"""CUHK01 (Li, Zhao, Wang, "Human Reidentification with Transferred Metric Learning", ACCV 2012)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar, Final

from wsreid.data.published import WHOLE, SplitCount
from wsreid.data.records import ImageRecords
from wsreid.data.sources.archive_folder import archive_folder
from wsreid.data.sources.base import Source
from wsreid.data.sources.builder import RecordsBuilder
from wsreid.data.sources.compared import compared
from wsreid.data.sources.scan import scan
from wsreid.data.sources.two_cameras import CAMERAS, CameraName, Sighting, TwoCameraSplit, cameras_of, without_copies

_FOLDER: Final = "campus"
_NAME: Final = re.compile(r"(?P<pid>\d{4})(?P<number>\d{3})\.[A-Za-z]+", re.ASCII)
_CAMERA: Final = {1: CAMERAS["a"], 2: CAMERAS["a"], 3: CAMERAS["b"], 4: CAMERAS["b"]}


class CUHK01(Source):
    """CUHK01: a folder campus with images named `<identity, four digits><number, three digits>.png`.

    Of the 971 identities, numbers 001 and 002 are images from camera A, 003 and 004 from camera B. The ten splits are
    drawn here, by seed: they are not those of any paper, which draw their own and average.

    Args:
        split: Which of the ten splits, 0 to 9.
        test_ids: Identities to test. Left out, half of them: 485 train and 486 are tested; 100 gives the other
            usual protocol, 871 and 100.
        query_camera: The camera of the queries.
    """

    name: ClassVar[str] = "cuhk01"
    where: ClassVar[str] = (
        "It must hold the folder campus, as CUHK01.zip unpacks, with images like campus/0001001.png; its authors "
        "offer it at www.ee.cuhk.edu.hk/~xgwang/CUHK_identification.html."
    )

    def __init__(self, split: int = 0, test_ids: int | None = None, query_camera: CameraName = "a") -> None:
        self._split = TwoCameraSplit(self.name, split, query_camera, test_ids)

    def settings(self) -> Mapping[str, str | int | bool | None]:
        """See `Source.settings`."""
        split = self._split
        return {"split": split.split, "test_ids": split.test_ids, "query_camera": split.query_camera}

    def watched(self, root: Path) -> Iterable[Path]:
        """The folder of the images."""
        return [self._folder(root)]

    def index(self, root: Path) -> ImageRecords:
        """Lists the images; see `Source.index`."""
        found, problems = scan(self._folder(root), root)
        builder = RecordsBuilder(self.name)
        builder.problems(problems)
        sightings: list[Sighting] = []
        for image in found:
            match = _NAME.fullmatch(image.name)
            number = int(match["number"]) if match else 0
            if match is None or number not in _CAMERA:
                builder.problem(image.file, "has a name that does not parse: expected 0001001.png to 0001004.png")
            elif int(match["pid"]) < 1:
                builder.problem(image.file, "names no identity (0000): identities count from 0001")
            else:
                sightings.append(Sighting(int(match["pid"]), _CAMERA[number], number, image))
        sightings = without_copies(sightings, builder)
        builder.add(self._split.deal(sightings, builder))
        whole = SplitCount(len(sightings), len(cameras_of(sightings)))
        return compared(builder.records(), self.name, {WHOLE: whole})

    def _folder(self, root: Path) -> Path:
        return archive_folder(self, root, ["CUHK01"], [_FOLDER]) / _FOLDER
