"""PKU-Reid (Ma, Liu, Hu, Wang, Sun: "Orientation driven bag of appearances for person re-identification", 2016)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar, Final

from wsreid.data.records import ImageRecords, Split
from wsreid.data.sources.base import Source
from wsreid.data.sources.builder import ImageEntry, RecordsBuilder
from wsreid.data.sources.scan import scan, subfolders
from wsreid.errors import ConfigError, DataError

_FOLDER: Final = re.compile(r"\d{1,9}", re.ASCII)
_NAME: Final = re.compile(r"(?P<camera>\d{1,6})_(?P<orientation>\d{1,6})\.[A-Za-z]+", re.ASCII)
_TEST_SPLIT: Final = {1: Split.QUERY, 2: Split.GALLERY}


class PKUReID(Source):
    """PKU-Reid: a folder per identity, images named `<camera>_<orientation>.png`, two cameras, eight orientations.

    The data set has no official split. Here the first identities train, both cameras; of the others, camera 01 is
    the query and camera 02 the gallery.

    Args:
        train_ids: How many identities train, counted from the lowest number; 0: all are tested.
    """

    name: ClassVar[str] = "pku"
    where: ClassVar[str] = (
        "It must hold a folder per identity (001, 002, ...) with images like 01_1.png; "
        "the data set is described in arXiv:1605.02464."
    )

    def __init__(self, train_ids: int = 37) -> None:
        if train_ids < 0:
            raise ConfigError(f"pku: train_ids must not be negative, got {train_ids}")
        self.train_ids = train_ids

    def settings(self) -> Mapping[str, str | int | bool | None]:
        """See `Source.settings`."""
        return {"train_ids": self.train_ids}

    def watched(self, root: Path) -> Iterable[Path]:
        """The identities' folders and the folder that holds them."""
        folders = self._folders(root)
        return [folders[0].parent, *folders]

    def index(self, root: Path) -> ImageRecords:
        """Lists the images; see `Source.index`."""
        folders = self._folders(root)
        if len(folders) <= self.train_ids:
            raise DataError(
                f"{self.name}: {folders[0].parent} holds {len(folders)} identities, so train_ids={self.train_ids} "
                "leaves none to test. Lower train_ids."
            )
        builder = RecordsBuilder(self.name)
        entries: list[ImageEntry] = []
        for place, folder in enumerate(folders):
            found, problems = scan(folder, root)
            builder.problems(problems)
            for image in found:
                match = _NAME.fullmatch(image.name)
                camera = int(match["camera"]) if match else 0
                if match is None or camera not in _TEST_SPLIT:
                    builder.problem(image.file, "has a name that does not parse: expected 01_1.png, camera 01 or 02")
                    continue
                split = Split.TRAIN if place < self.train_ids else _TEST_SPLIT[camera]
                orientation = int(match["orientation"])
                entries.append(ImageEntry(split, camera, -1, orientation, image.file, int(folder.name), image.size))
        builder.add(sorted(entries))
        for split in Split:
            if split is not Split.TRAIN or self.train_ids > 0:
                builder.require_images(split, root, "")
        return builder.records()

    def _folders(self, root: Path) -> list[Path]:
        """The identities' folders in numerical order, in the root or in its folder `pku-reid`."""
        self.require_root(root)
        for base in (root, root / "pku-reid"):
            folders = [p for p in subfolders(base) if _FOLDER.fullmatch(p.name)] if base.is_dir() else []
            if folders:
                numbers = [int(p.name) for p in folders]
                if len(set(numbers)) < len(numbers):
                    raise DataError(f"{self.name}: two folders in {base} have the same number. Remove one.")
                return sorted(folders, key=lambda p: int(p.name))
        raise DataError(
            f"{self.name}: neither {root} nor {root / 'pku-reid'} has folders named by a number. {self.where}"
        )
