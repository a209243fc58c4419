"""MSMT17 (Wei et al., "Person Transfer GAN to Bridge Domain Gap for Person Re-Identification", CVPR 2018)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar, Final, Literal, NamedTuple

from wsreid.data.records import ImageRecords, Split
from wsreid.data.sources.archive_folder import archive_folder
from wsreid.data.sources.base import Source
from wsreid.data.sources.builder import ImageEntry, RecordsBuilder
from wsreid.data.sources.compared import compared
from wsreid.data.sources.msmt17_lists import Listed, read_list, without_ending
from wsreid.data.sources.scan import Found, scan, subfolders
from wsreid.errors import ConfigError, DataError

_NAME: Final = re.compile(
    r"\d{1,9}_\d{1,9}_(?P<camera>\d{1,6})_(?P<session>\d{4}[a-z]+)_(?P<frame>\d{1,18})_\d{1,9}(_ex)?\.[A-Za-z]+",
    re.ASCII,
)
_INNER: Final = ("MSMT17_V1", "MSMT17_V2", "MSMT17", "MSMT17_V2/MSMT17_V2")
_FOLDERS: Final = (("train", "test"), ("mask_train_v2", "mask_test_v2"))  # version 1; version 2, faces blurred
_LISTS: Final = {
    "list_train.txt": Split.TRAIN,
    "list_val.txt": Split.TRAIN,
    "list_query.txt": Split.QUERY,
    "list_gallery.txt": Split.GALLERY,
}
_VAL: Final = "list_val.txt"


class _Layout(NamedTuple):
    base: Path
    train: Path
    test: Path


class _Named(NamedTuple):
    """A listed image with what its name says."""

    split: Split
    camera: int
    session: str
    frame: int
    image: Found
    label: int


class MSMT17(Source):
    """MSMT17, version 1 (train, test) or 2 (mask_train_v2, mask_test_v2: the same images with blurred faces).

    The list files say which image belongs to which split. Names are read as
    `0000/0000_000_01_0303morning_0008_0.jpg`: identity, number, camera, session (date and time of day), frame, box;
    `_ex` marks the larger box of the same frame. The identities of train and test both count from 0 and are different
    persons, so that they are kept as names, `train 0000` and `test 0000`, and count from 1 in that order.

    Args:
        val: Whether the images of list_val.txt `train`, as the published 32,621 training images count them, or are
            left out, as some papers do. They show the training identities, so that they are no validation split.
    """

    name: ClassVar[str] = "msmt17"
    where: ClassVar[str] = (
        "It must be the unpacked folder MSMT17_V1 or MSMT17_V2, with the folders train and test (version 2: "
        "mask_train_v2 and mask_test_v2) and list_train.txt, list_val.txt, list_query.txt and list_gallery.txt; its "
        "authors give it, lists included, to those who ask (www.pkuvmc.com)."
    )

    def __init__(self, val: Literal["train", "leave out"] = "train") -> None:
        if val not in ("train", "leave out"):
            raise ConfigError(f"{self.name}: val must be 'train' or 'leave out', got {val!r}")
        self.val = val

    @property
    def variant(self) -> str | None:
        """See `Source.variant`."""
        return "val left out" if self.val == "leave out" else None

    def settings(self) -> Mapping[str, str | int | bool | None]:
        """See `Source.settings`."""
        return {"val": self.val}

    def watched(self, root: Path) -> Iterable[Path]:
        """The folders of all identities, and the lists."""
        layout = self._layout(root)
        folders = [path for top in (layout.train, layout.test) for path in (top, *subfolders(top))]
        return [*folders, *self._lists(layout.base)]

    def index(self, root: Path) -> ImageRecords:
        """Lists the images; see `Source.index`."""
        layout = self._layout(root)
        builder = RecordsBuilder(self.name)
        files = {top: _files(top, root, builder) for top in (layout.train, layout.test)}
        listed: dict[Path, dict[str, Path]] = {top: {} for top in files}
        images: list[_Named] = []
        for path in self._lists(layout.base):
            split = _LISTS[path.name]
            top = layout.train if split == Split.TRAIN else layout.test
            lines = read_list(path, listed[top])
            if path.name == _VAL and self.val == "leave out":
                builder.note(f"{_VAL}: its {len(lines):,} images are left out")
            else:
                images += _named(split, path, lines, files[top], builder)
        unlisted = sorted(
            image.file for top, found in files.items() for key, image in found.items() if key not in listed[top]
        )
        if unlisted:
            builder.note(f"{len(unlisted):,} image files are in no list and left out, first: {unlisted[0]}")
        return self._records(images, layout, root, builder)

    def _records(self, images: list[_Named], layout: _Layout, root: Path, builder: RecordsBuilder) -> ImageRecords:
        identities = sorted({(i.split != Split.TRAIN, i.label) for i in images})
        pid = {identity: place for place, identity in enumerate(identities, 1)}
        names = tuple(f"{'test' if test else 'train'} {label:04d}" for test, label in identities)
        sessions = sorted({i.session for i in images})
        builder.note("sequences are sessions, numbered from 1: " + ", ".join(sessions))
        sequence = {session: place for place, session in enumerate(sessions, 1)}
        builder.add(
            sorted(
                ImageEntry(
                    i.split,
                    i.camera,
                    sequence[i.session],
                    i.frame,
                    i.image.file,
                    pid[i.split != Split.TRAIN, i.label],
                    i.image.size,
                )
                for i in images
            )
        )
        for split in Split:
            top = layout.train if split == Split.TRAIN else layout.test
            builder.require_images(split, root, top.relative_to(root).as_posix())
        return compared(builder.records(pid_names=names), self.name, variant=self.variant)

    def _layout(self, root: Path) -> _Layout:
        """Finds version 1 or 2; where neither is there, the error is about version 1."""
        self.require_root(root)
        places = [root, *(root / name for name in _INNER)]
        there = [
            (place, folders) for folders in _FOLDERS for place in places if all((place / f).is_dir() for f in folders)
        ]
        if len(there) > 1:
            found = " and ".join(str(place / folders[0]) for place, folders in there[:2])
            raise DataError(f"{self.name}: there are {found}. Give the folder of one version as the root.")
        if there:
            base, (train, test) = there[0]
        else:
            train, test = next((f for f in _FOLDERS if any((p / n).is_dir() for p in places for n in f)), _FOLDERS[0])
            base = archive_folder(self, root, _INNER, [train, test])
        return _Layout(base, base / train, base / test)

    def _lists(self, base: Path) -> list[Path]:
        """The list files.

        Raises:
            DataError: One is missing that is needed.
        """
        paths = [base / name for name in _LISTS]
        missing = [p.name for p in paths if not p.is_file() and not (p.name == _VAL and self.val == "leave out")]
        if missing:
            raise DataError(f"{self.name}: {base} has no {' and no '.join(missing)}. {self.where}")
        return [path for path in paths if path.is_file()]


def _files(top: Path, root: Path, builder: RecordsBuilder) -> dict[str, Found]:
    """The images in a folder, by path inside it without ending."""
    found, problems = scan(top, root, recursive=True)
    builder.problems(problems)
    files: dict[str, Found] = {}
    for image in found:
        key = without_ending(Path(image.file).relative_to(top.relative_to(root)).as_posix())
        known = files.setdefault(key, image)
        if known is not image:
            builder.problem(image.file, f"has the name of {known.file} but for the ending: keep one")
    return files


def _named(
    split: Split, path: Path, lines: list[Listed], files: dict[str, Found], builder: RecordsBuilder
) -> list[_Named]:
    """The listed images that are there; notes how list and files differ.

    Raises:
        DataError: None is there, so the list is for other images.
    """
    images: list[_Named] = []
    missing: list[str] = []
    other = 0
    for line in lines:
        image = files.get(line.file)
        if image is None:
            missing.append(line.file)
            continue
        match = _NAME.fullmatch(image.name)
        if match is None:
            expected = "0000_000_01_0303morning_0008_0.jpg"
            builder.problem(image.file, f"has a name that does not parse: expected one like {expected}")
            continue
        other += int(image.name.partition("_")[0]) != line.label
        images.append(_Named(split, int(match["camera"]), match["session"], int(match["frame"]), image, line.label))
    if len(missing) == len(lines) and files and path.name != _VAL:
        raise DataError(
            f"msmt17: {path} lists none of the {len(files)} files found, but for instance {missing[0]!r}. It must be "
            "the list that came with these images."
        )
    if missing:
        builder.note(
            f"{path.name}: {len(missing):,} of {len(lines):,} listed files are not there or unusable, "
            f"first: {missing[0]}"
        )
    if other:
        builder.note(f"{path.name}: {other:,} files are named after another identity than listed; the list counts")
    return images
