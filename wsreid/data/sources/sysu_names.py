"""What the folders and file names of SYSU-30k say."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from wsreid.data.records import Split
from wsreid.data.sources.sysu_layout import TRAIN_FOLDER

_TEST_NAME: Final = re.compile(r"(?P<pid>\d{1,9})_c(?P<camera>\d{1,6})_(?P<frame>\d{1,9})\.[A-Za-z]+", re.ASCII)
_CAMERA: Final = re.compile(r"_c(\d{1,6})[_.]", re.ASCII)
_DISTRACTORS: Final = "0000others"
_SPLITS: Final = {"query": Split.QUERY, "gallery": Split.GALLERY}


@dataclass(frozen=True)
class Place:
    """The part of the data set that a folder belongs to.

    Attributes:
        split: Its split.
        number: Number of the training folder; -1 in the test set.
        inside: The folders below the training folder, or below query or gallery, each with a `/` after it.
    """

    split: Split
    number: int
    inside: str


@dataclass(frozen=True)
class TestName:
    """What a test image's name says; -1 = nothing."""

    camera: int
    frame: int
    pid: int


@lru_cache(maxsize=1 << 16)
def place_of(folder: str) -> Place | None:
    """Reads the path of a folder; None if it is none of the data set's.

    Args:
        folder: With `/` between its parts, whatever lies above the data set.
    """
    parts = folder.split("/")
    for at, part in enumerate(parts):
        inside = "".join(f"{below}/" for below in parts[at + 1 :])
        if part in _SPLITS:
            return Place(_SPLITS[part], -1, inside)
        if TRAIN_FOLDER.fullmatch(part) and int(part):
            return Place(Split.TRAIN, int(part), inside)
    return None


def read_test_name(split: Split, inside: str, name: str) -> TestName | None:
    """Reads a test image's name; None if it does not parse, or is of another identity than its folder.

    Args:
        split: Query or gallery.
        inside: See `Place`.
        name: The file's name, such as `000028311_c2_2.jpg`.
    """
    folder = inside[:-1].rpartition("/")[2]
    if split == Split.GALLERY and _DISTRACTORS in (folder, name[: len(_DISTRACTORS)]):
        camera = _CAMERA.search(name)
        return TestName(int(camera[1]) if camera else -1, -1, 0)
    match = _TEST_NAME.fullmatch(name)
    if match is None or int(match["pid"]) < 1 or _is_other(folder, match["pid"]):
        return None
    return TestName(int(match["camera"]), int(match["frame"]), int(match["pid"]))


def _is_other(folder: str, pid: str) -> bool:
    """Whether a folder is named by another number; as text, as a tar may hold one of any length."""
    return folder.isdecimal() and folder.lstrip("0") != pid.lstrip("0")
