"""Your own images: three folders and one regular expression that reads their names."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar, Final, NamedTuple

from wsreid.data.records import ImageRecords, Split
from wsreid.data.sources.base import Source
from wsreid.data.sources.builder import ImageEntry, RecordsBuilder
from wsreid.data.sources.numbering import numbered
from wsreid.data.sources.scan import Found, ignored, scan
from wsreid.errors import ConfigError

_GROUPS: Final = frozenset({"pid", "camera", "frame"})
_NUMBER: Final = re.compile(r"\d{1,9}", re.ASCII)
_FRAME: Final = re.compile(r"\d{1,18}", re.ASCII)
_JUNK: Final = "-1"


class _Named(NamedTuple):
    """An image with what its name says, as text."""

    split: Split
    image: Found
    pid: str
    camera: str | None
    frame: int


class Folder(Source):
    r"""Your own images in three folders, at any depth.

    Identities and cameras may be numbers or any other text. Where all are whole numbers, they are kept as they are;
    else they are numbered from 1 in sorted order. Identity -1 marks junk, which is dropped from the gallery.

    Args:
        pattern: Regular expression with named groups pid, camera and frame, matched at the start of each image's
            path relative to its split's folder, with `/`. Without camera, no image counts as junk; without frame,
            images keep the order of their names. Default: a folder per identity.
        train: Folder of the training images, relative to the root.
        query: Folder of the query images, relative to the root.
        gallery: Folder of the gallery images, relative to the root.
    """

    name: ClassVar[str] = "folder"
    where: ClassVar[str] = "Name the folders of your images with data.source.train, query and gallery."

    def __init__(
        self,
        pattern: str = r"(?P<pid>[^/]+)/",
        train: str = "train",
        query: str = "query",
        gallery: str = "gallery",
    ) -> None:
        try:
            self._regex = re.compile(pattern)
        except re.error as error:
            raise ConfigError(f"folder: pattern '{pattern}' is no regular expression: {error}") from error
        groups = set(self._regex.groupindex)
        if "pid" not in groups:
            raise ConfigError(f"folder: pattern '{pattern}' has no group pid. Write one as (?P<pid>...).")
        if unknown := groups - _GROUPS:
            raise ConfigError(f"folder: pattern has the groups {sorted(unknown)}; known are pid, camera and frame.")
        self.pattern = pattern
        self.folders = {Split.TRAIN: train, Split.QUERY: query, Split.GALLERY: gallery}
        for split, folder in self.folders.items():
            parts = Path(folder).parts
            if not parts or Path(folder).is_absolute() or ".." in parts:
                raise ConfigError(f"folder: {split.name.lower()}={folder!r} must be a folder inside the root.")

    def settings(self) -> Mapping[str, str | int | bool | None]:
        """See `Source.settings`."""
        return {"pattern": self.pattern} | {split.name.lower(): folder for split, folder in self.folders.items()}

    def watched(self, root: Path) -> Iterable[Path]:
        """The three folders with all folders inside."""
        tops = [self.require_folder(root, folder) for folder in self.folders.values()]
        return {Path(path) for top in tops for path in _walk(top)}

    def index(self, root: Path) -> ImageRecords:
        """Lists the images; see `Source.index`."""
        for folder in self.folders.values():
            self.require_folder(root, folder)
        builder = RecordsBuilder(self.name)
        images: list[_Named] = []
        for split, folder in self.folders.items():
            found, problems = scan(root / folder, root, recursive=True)
            builder.problems(problems)
            images += self._named(split, found, Path(folder).as_posix(), builder)
        pids, pid_names = numbered({image.pid for image in images})
        cameras, camera_names = numbered({image.camera for image in images if image.camera is not None})
        if camera_names:
            builder.note("cameras are numbered from 1: " + ", ".join(camera_names))
        without = sum(image.camera is None for image in images)
        if 0 < without < len(images):
            builder.note(f"{without} of {len(images)} images name no camera")
        builder.add(
            sorted(
                ImageEntry(
                    i.split,
                    -1 if i.camera is None else cameras[i.camera],
                    -1,
                    i.frame,
                    i.image.file,
                    pids[i.pid],
                    i.image.size,
                )
                for i in images
            )
        )
        for split, folder in self.folders.items():
            builder.require_images(split, root, Path(folder).as_posix())
        return builder.records(pid_names=pid_names)

    def _named(self, split: Split, found: list[Found], folder: str, builder: RecordsBuilder) -> list[_Named]:
        """Reads the names of one split's images."""
        images: list[_Named] = []
        junk = 0
        for image in found:
            match = self._regex.match(image.file.removeprefix(f"{folder}/"))
            groups = match.groupdict() if match else {}
            pid, frame = groups.get("pid"), groups.get("frame")
            if not pid:
                builder.problem(image.file, f"does not match the pattern '{self.pattern}'")
            elif frame is not None and not _FRAME.fullmatch(frame):
                builder.problem(image.file, f"has the frame {frame!r}, which is no whole number of at most 18 digits")
            elif pid == _JUNK and split == Split.GALLERY:
                junk += 1
            elif pid == _JUNK:
                builder.problem(image.file, "names no identity (-1): such images belong in the gallery")
            else:
                images.append(
                    _Named(split, image, pid, groups.get("camera") or None, -1 if frame is None else int(frame))
                )
        if junk:
            builder.note(f"{junk} junk images (-1) dropped from the gallery")
        return images


def _walk(top: Path) -> Iterable[str]:
    for path, folders, _ in os.walk(top):
        folders[:] = [folder for folder in folders if not ignored(folder)]
        yield path
