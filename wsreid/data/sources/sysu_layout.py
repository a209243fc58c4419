"""Where the parts of SYSU-30k lie under a root: its authors' pages show several arrangements."""

from __future__ import annotations

import itertools
import re
import stat
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wsreid.data.sources.scan import subfolders
from wsreid.errors import DataError

TRAIN_FOLDER: Final = re.compile(r"0\d{9}", re.ASCII)

_BASES: Final = ("", "imagenet", "SYSU-30k-released", "SYSU-30k-released/imagenet", "sysu-30k-released")
_TRAIN: Final = ("sysu_train_set_all", "train/sysu_train_set_all", "train", "")
_TEST: Final = ("sysu_test_set_all", "test/sysu_test_set_all", "test", "")
_SPLITS: Final = ("query", "gallery")
_LISTS: Final = ("", "meta")
_BAG_LABELS: Final = ("bag_level_label.json", "bag_level_label.txt")
_TAR_DEPTH: Final = 3


@dataclass(frozen=True)
class Layout:
    """The parts of a SYSU-30k root; any of them may be missing.

    Attributes:
        train: Holds the folders 0000000001, 0000000002, ...
        query: Holds the query images.
        gallery: Holds the matches and the folder 0000others.
        tars: The tars, part 2 before part 10.
    """

    train: Path | None
    query: Path | None
    gallery: Path | None
    tars: tuple[Path, ...]


def find_layout(root: Path, where: str) -> Layout:
    """Finds the folders and the tars.

    Args:
        root: The data set's folder.
        where: The end of the error message.

    Raises:
        DataError: There is nothing of the data set; says what was looked for.
    """
    train = _first(root, _TRAIN, _holds_train_folders)
    query, gallery = (_first(root, [_join(test, split) for test in _TEST], Path.is_dir) for split in _SPLITS)
    tars = tuple(sorted(_tars(root), key=_in_order))
    if train is None and query is None and gallery is None and not tars:
        raise DataError(
            f"sysu30k: {root} has no folders named by ten digits (0000000001, ...) in {_listed(_TRAIN)}, no folders "
            f"query and gallery in {_listed(_TEST)}, and no tar. {where}"
        )
    return Layout(train, query, gallery, tars)


def find_list(root: Path, name: str) -> Path | None:
    """One of the lists train.txt, query.txt, gallery.txt; None if it is not there."""
    return _first(root, [_join(place, name) for place in _LISTS], Path.is_file)


def find_bag_labels(root: Path) -> Path | None:
    """The file of bag labels; None if it is not there."""
    return _first(root, [_join(place, name) for name in _BAG_LABELS for place in _LISTS], Path.is_file)


def train_folders(train: Path) -> dict[int, Path]:
    """The training folders by their numbers, ascending; there is no folder 0."""
    return {int(f.name): f for f in subfolders(train) if TRAIN_FOLDER.fullmatch(f.name) and int(f.name)}


def _tars(root: Path) -> Iterator[Path]:
    """The tars in a folder and in those inside, each once, whatever links lead to it.

    The folders of images are left out: they hold millions of files. Links come last, so that a tar is named by its own
    place if that is found.
    """
    tars: set[tuple[int, int]] = set()
    depths: dict[tuple[int, int], int] = {}  # how far below each folder was searched
    waiting, linked = deque([(root, _TAR_DEPTH)]), deque[tuple[Path, int]]()
    while waiting or linked:
        path, depth = (waiting or linked).popleft()
        status = path.stat()
        place = (status.st_dev, status.st_ino)
        if not stat.S_ISDIR(status.st_mode):
            if place not in tars:
                tars.add(place)
                yield path
            continue
        if depths.get(place, 0) >= depth:
            continue
        depths[place] = depth
        for inside in sorted(path.iterdir()):
            if _is_tar(inside) or (depth > 1 and _may_hold_tars(inside)):
                (linked if inside.is_symlink() else waiting).append((inside, depth - 1))


def _is_tar(path: Path) -> bool:
    return not path.name.startswith(".") and path.suffix.lower() == ".tar" and path.is_file()


def _may_hold_tars(path: Path) -> bool:
    return not (path.name.startswith(".") or path.name[:1].isdecimal() or path.name in _SPLITS) and path.is_dir()


def _in_order(path: Path) -> tuple[list[tuple[int, str]], str]:
    parts = [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path.name)]
    return parts, str(path)


def _first(root: Path, places: Iterable[str], fits: Callable[[Path], bool]) -> Path | None:
    candidates = (root / base / place for base, place in itertools.product(_BASES, places))
    return next((path for path in candidates if fits(path)), None)


def _holds_train_folders(path: Path) -> bool:
    return path.is_dir() and any(TRAIN_FOLDER.fullmatch(folder.name) for folder in subfolders(path))


def _listed(places: Iterable[str]) -> str:
    return ", ".join(f"{place}/" if place else "the folder itself" for place in places)


def _join(place: str, name: str) -> str:
    return f"{place}/{name}" if place else name
