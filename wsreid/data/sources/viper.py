"""VIPeR (Gray, Brennan, Tao, "Evaluating Appearance Models for Recognition, Reacquisition, and Tracking", 2007)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar, Final

from wsreid.data.records import ImageRecords
from wsreid.data.sources.archive_folder import archive_folder
from wsreid.data.sources.base import Source
from wsreid.data.sources.builder import RecordsBuilder
from wsreid.data.sources.compared import compared
from wsreid.data.sources.scan import Found, scan
from wsreid.data.sources.two_cameras import CAMERAS, CameraName, Sighting, TwoCameraSplit, without_copies

_NAME: Final = re.compile(r"(?P<number>\d{3,9})_(?P<angle>\d{1,3})\.[A-Za-z]+", re.ASCII)


class VIPeR(Source):
    """VIPeR: folders cam_a and cam_b, one image of each of 632 identities in both, named `<identity>_<angle>.bmp`.

    Half of the identities train, the others are queries in one camera and matches in the other. The ten splits are
    drawn here, by seed: they are not those of any paper, which draw their own and average. Identity numbers start at
    000 and have gaps, so that they are kept as names; identities count from 1 in their order.

    Args:
        split: Which of the ten splits, 0 to 9.
        query_camera: The camera of the queries; papers average over both.
    """

    name: ClassVar[str] = "viper"
    where: ClassVar[str] = (
        "It must be the unpacked folder VIPeR, with images like cam_a/000_45.bmp and cam_b/000_90.bmp; its authors "
        "offer it (VIPeR.v1.0) at vision.soe.ucsc.edu/node/178."
    )

    def __init__(self, split: int = 0, query_camera: CameraName = "a") -> None:
        self._split = TwoCameraSplit(self.name, split, query_camera)

    def settings(self) -> Mapping[str, str | int | bool | None]:
        """See `Source.settings`."""
        return {"split": self._split.split, "query_camera": self._split.query_camera}

    def watched(self, root: Path) -> Iterable[Path]:
        """The two cameras' folders."""
        base = self._base(root)
        return [base / f"cam_{camera}" for camera in CAMERAS]

    def index(self, root: Path) -> ImageRecords:
        """Lists the images; see `Source.index`."""
        base = self._base(root)
        builder = RecordsBuilder(self.name)
        named: list[tuple[str, int, Found]] = []
        for camera, number in CAMERAS.items():
            found, problems = scan(base / f"cam_{camera}", root)
            builder.problems(problems)
            for image in found:
                if match := _NAME.fullmatch(image.name):
                    named.append((match["number"], number, image))
                else:
                    builder.problem(image.file, "has a name that does not parse: expected one like 000_45.bmp")
        names = tuple(sorted({name for name, _, _ in named}))
        pid = {name: place for place, name in enumerate(names, 1)}
        sightings = [Sighting(pid[name], number, -1, image) for name, number, image in named]
        builder.add(self._split.deal(without_copies(sightings, builder), builder))
        return compared(builder.records(pid_names=names), self.name)

    def _base(self, root: Path) -> Path:
        return archive_folder(self, root, ["VIPeR", "VIPeR.v1.0"], [f"cam_{camera}" for camera in CAMERAS])
