"""Where the parts of SYSU-30k lie under a root: its authors' pages show several arrangements."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wsreid.data.image_header import SUFFIXES
from wsreid.data.sources.scan import subfolders
from wsreid.errors import DataError

TRAIN_FOLDER: Final = re.compile(r"0\d{9}", re.ASCII)

_BASES: Final = ("", "imagenet", "SYSU-30k-released", "SYSU-30k-released/imagenet", "sysu-30k-released")
_TRAIN: Final = ("sysu_train_set_all", "train/sysu_train_set_all", "train", "")
_TEST: Final = ("sysu_test_set_all", "test/sysu_test_set_all", "test", "")
_LISTS: Final = ("", "meta")
_BAG_LABELS: Final = ("bag_level_label.json", "bag_level_label.txt")


@dataclass(frozen=True)
class Layout:
    """The folders of a SYSU-30k root.

    Attributes:
        train: Holds the folders 0000000001, 0000000002, ...
        query: Holds the query images.
        gallery: Holds the matches and the folder 0000others.
    """

    train: Path
    query: Path
    gallery: Path


def find_layout(root: Path, where: str) -> Layout:
    """Finds the folders.

    Args:
        root: The data set's folder.
        where: The end of the error message.

    Raises:
        DataError: The training folders or the test set are not there; says what was looked for.
    """
    train = _first(root, _TRAIN, _holds_train_folders)
    test = _first(root, _TEST, lambda path: (path / "query").is_dir() and (path / "gallery").is_dir())
    missing = []
    if train is None:
        missing.append(f"folders named by ten digits (0000000001, ...) in {_listed(_TRAIN)}")
    if test is None:
        missing.append(f"folders query and gallery in {_listed(_TEST)}")
    if train is None or test is None:
        packed = any(root.glob("*.tar")) or any(root.glob("*/*.tar"))
        hint = " There are tar files: unpack them." if packed else ""
        raise DataError(f"sysu30k: {root} has no {', and no '.join(missing)}.{hint} {where}")
    return Layout(train, test / "query", test / "gallery")


def find_list(root: Path, name: str) -> Path | None:
    """One of the lists train.txt, query.txt, gallery.txt; None if it is not there."""
    return _first(root, [_join(place, name) for place in _LISTS], Path.is_file)


def find_bag_labels(root: Path) -> Path | None:
    """The file of bag labels; None if it is not there."""
    return _first(root, [_join(place, name) for name in _BAG_LABELS for place in _LISTS], Path.is_file)


class FileList:
    """A list that says which files belong to a split. It only selects among files found: no path is made from it.

    Lines are `folder/name`, with or without folders above, or the name alone; a number after it is passed over.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open(encoding="utf-8", errors="replace") as lines:
            self._keys = {key for line in lines if (key := _key(line))}
        if not self._keys:
            raise DataError(f"sysu30k: the list {path} is empty. Remove it, or replace it by the released one.")
        self._example = min(self._keys)
        self._matched = 0
        self._unlisted = 0

    def take(self, file: str) -> bool:
        """Whether a file is listed; each line answers for one file."""
        folder, _, name = file.rpartition("/")
        for key in (f"{folder.rpartition('/')[2]}/{name}", name):
            if key in self._keys:
                self._keys.remove(key)
                self._matched += 1
                return True
        self._unlisted += 1
        return False

    def differences(self) -> str | None:
        """What differs between the list and the files, once all were asked for.

        Raises:
            DataError: None of the files is listed, so the list is for another arrangement.
        """
        if not self._matched and self._unlisted:
            raise DataError(
                f"sysu30k: {self.path} lists none of the {self._unlisted} files found, but for instance "
                f"{self._example!r}. Lines must read folder/name. Correct it, or remove it to use every file."
            )
        missing = len(self._keys)
        if not missing and not self._unlisted:
            return None
        unlisted = f"{self._unlisted} files are not listed and left out"
        return f"{self.path.name}: {missing} listed files are not there, {unlisted}"


def _key(line: str) -> str:
    text = line.strip().replace("\\", "/")
    if text and Path(text).suffix.lower() not in SUFFIXES:
        text = text.rsplit(maxsplit=1)[0]
    return "/".join(text.split("/")[-2:])


def _first(root: Path, places: Iterable[str], fits: Callable[[Path], bool]) -> Path | None:
    candidates = (root / base / place for base, place in itertools.product(_BASES, places))
    return next((path for path in candidates if fits(path)), None)


def _holds_train_folders(path: Path) -> bool:
    return path.is_dir() and any(TRAIN_FOLDER.fullmatch(folder.name) for folder in subfolders(path))


def _listed(places: Iterable[str]) -> str:
    return ", ".join(f"{place}/" if place else "the folder itself" for place in places)


def _join(place: str, name: str) -> str:
    return f"{place}/{name}" if place else name
