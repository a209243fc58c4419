"""SYSU-30k (Wang et al., "Weakly Supervised Person Re-ID: Differentiable Graphical Learning and A New Benchmark")."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar, Final

from wsreid.data.records import ImageRecords, Split
from wsreid.data.sources.base import Source
from wsreid.data.sources.builder import ImageEntry, RecordsBuilder
from wsreid.data.sources.scan import Found, scan, subfolders
from wsreid.data.sources.sysu_layout import TRAIN_FOLDER, FileList, find_bag_labels, find_layout, find_list

_TEST_NAME: Final = re.compile(r"(?P<pid>\d{1,9})_c(?P<camera>\d{1,6})_(?P<frame>\d{1,9})\.[A-Za-z]+", re.ASCII)
_CAMERA: Final = re.compile(r"_c(\d{1,6})[_.]", re.ASCII)
_DISTRACTORS: Final = "0000others"
_LISTS: Final = {Split.TRAIN: "train.txt", Split.QUERY: "query.txt", Split.GALLERY: "gallery.txt"}


class SYSU30k(Source):
    """SYSU-30k, unpacked: training folders 0000000001 and up, and a test set with query and gallery.

    A training image's identity is not known, only its folder: it has pid -1 and its folder's number as sequence. The
    classes are the numbers of the training folders found. In the gallery, the images in the folder 0000others are
    distractors, pid 0. If train.txt, query.txt or gallery.txt is there, only the files that it lists are used.

    Args:
        check_files: Read the first bytes of each file, to find those that are no images before training starts;
            without, names and sizes alone are looked at, which matters for 29.6 million files.
    """

    name: ClassVar[str] = "sysu30k"
    where: ClassVar[str] = (
        "Expected are sysu_train_set_all/0000000001/... and sysu_test_set_all/query, .../gallery, unpacked from the "
        "tars that the authors offer at github.com/wanggrun/SYSU-30k."
    )

    def __init__(self, check_files: bool = True) -> None:
        self.check_files = check_files

    def settings(self) -> Mapping[str, str | int | bool | None]:
        """See `Source.settings`."""
        return {"check_files": self.check_files}

    def bag_label_file(self, root: Path) -> Path | None:
        """The released bag_level_label.json; None if it is not there."""
        return find_bag_labels(root)

    def watched(self, root: Path) -> Iterable[Path]:
        """All folders of the three splits, the lists and the bag labels."""
        self.require_root(root)
        layout = find_layout(root, self.where)
        tops = (layout.train, layout.query, layout.gallery)
        folders = [path for top in tops for path in (top, *subfolders(top))]
        files = [*(find_list(root, name) for name in _LISTS.values()), find_bag_labels(root)]
        return {*folders, *(path for path in files if path is not None)}

    def index(self, root: Path) -> ImageRecords:
        """Lists the images; see `Source.index`."""
        self.require_root(root)
        layout = find_layout(root, self.where)
        builder = RecordsBuilder(self.name)
        identities = self._train(layout.train, root, builder)
        for split, folder in ((Split.QUERY, layout.query), (Split.GALLERY, layout.gallery)):
            self._test(split, folder, root, builder)
        return builder.records(identities)

    def _train(self, train: Path, root: Path, builder: RecordsBuilder) -> list[int]:
        """Adds the training images folder by folder; returns the numbers of the folders that have images."""
        listed = _file_list(root, Split.TRAIN)
        identities: list[int] = []
        empty = 0
        for folder in subfolders(train):
            number = int(folder.name) if TRAIN_FOLDER.fullmatch(folder.name) else 0
            if number < 1:
                continue
            images = self._images(folder, root, builder, listed)
            builder.add(ImageEntry(Split.TRAIN, -1, number, -1, image.file, -1, image.size) for image in images)
            if images:
                identities.append(number)
            else:
                empty += 1
        _close(listed, builder)
        if empty:
            builder.note(f"{empty} training folders have no usable image and are no class")
        builder.require_images(Split.TRAIN, root, train.relative_to(root).as_posix())
        return identities

    def _test(self, split: Split, folder: Path, root: Path, builder: RecordsBuilder) -> None:
        listed = _file_list(root, split)
        entries: list[ImageEntry] = []
        for image in self._images(folder, root, builder, listed):
            entry = _test_entry(split, image)
            if entry is None:
                expected = "000028311_c2_2.jpg, in the folder of its identity or in none"
                builder.problem(image.file, f"has a name that does not parse: expected one like {expected}")
            else:
                entries.append(entry)
        _close(listed, builder)
        builder.add(sorted(entries))
        builder.require_images(split, root, folder.relative_to(root).as_posix())

    def _images(self, folder: Path, root: Path, builder: RecordsBuilder, listed: FileList | None) -> list[Found]:
        found, problems = scan(folder, root, recursive=True, open_files=self.check_files)
        if listed is None:
            builder.problems(problems)
            return found
        builder.problems(problem for problem in problems if listed.take(problem.file))
        return [image for image in found if listed.take(image.file)]


def _test_entry(split: Split, image: Found) -> ImageEntry | None:
    """Reads a test image's name; None if it does not parse."""
    folder = image.file.split("/")[-2]
    if split == Split.GALLERY and _DISTRACTORS in (folder, image.name[: len(_DISTRACTORS)]):
        camera = _CAMERA.search(image.name)
        return ImageEntry(split, int(camera[1]) if camera else -1, -1, -1, image.file, 0, image.size)
    match = _TEST_NAME.fullmatch(image.name)
    if match is None or int(match["pid"]) < 1 or (folder.isdecimal() and int(folder) != int(match["pid"])):
        return None
    return ImageEntry(split, int(match["camera"]), -1, int(match["frame"]), image.file, int(match["pid"]), image.size)


def _file_list(root: Path, split: Split) -> FileList | None:
    path = find_list(root, _LISTS[split])
    return None if path is None else FileList(path)


def _close(listed: FileList | None, builder: RecordsBuilder) -> None:
    """Notes how a list and the files differ."""
    if listed is not None and (differences := listed.differences()):
        builder.note(differences)
