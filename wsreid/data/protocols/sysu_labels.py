"""SYSU-30k's bag_level_label.json: which bags it names, of which folders."""

from __future__ import annotations

import json
import re
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wsreid.errors import DataError

_BAG_ID: Final = re.compile(r"bag(\d{1,18})", re.ASCII)
_FOLDER: Final = re.compile(r"(\d{1,18})/\*", re.ASCII)


@dataclass(frozen=True)
class LabelledBag:
    """An entry of the file.

    Attributes:
        name: The bag, like bag0000000010.
        number: The number in it.
        labels: The numbers in its label, as listed.
        folders: The numbers of its folders, as listed: one may come twice.
    """

    name: str
    number: int
    labels: list[int]
    folders: list[int]

    def absent(self, here: Container[int]) -> list[int]:
        """The folders that the label or the images name and that are not here, ascending."""
        return sorted({number for number in (*self.labels, *self.folders) if number not in here})


def read_bag_labels(path: Path) -> Iterator[LabelledBag]:
    """Reads the file.

    Args:
        path: bag_level_label.json, a list of
            `{"BagLabel": [2, 3], "BagID": "bag0000000010", "BagImages": ["0000000002/*", "0000000003/*"]}`.

    Yields:
        Its bags, in its order.

    Raises:
        DataError: The file is not as described.
    """
    try:
        bags = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(
            f"{path} cannot be read as JSON: {error}. Fetch the file again, or remove it for windows."
        ) from error
    if not isinstance(bags, list) or not bags:
        raise DataError(f"{path} must hold a list of bags, as SYSU-30k releases it. Fetch the file again.")
    for number, bag in enumerate(bags):
        yield _checked(bag, path, number)


def _checked(bag: object, path: Path, number: int) -> LabelledBag:
    where = f"{path}, bag {number}"
    if not isinstance(bag, dict) or not {"BagLabel", "BagID", "BagImages"} <= bag.keys():
        raise DataError(f"{where}: needs the keys BagLabel, BagID and BagImages. Fetch the file again.")
    name, labels, images = bag["BagID"], bag["BagLabel"], bag["BagImages"]
    match = _BAG_ID.fullmatch(name) if isinstance(name, str) else None
    if match is None:
        raise DataError(f"{where}: BagID must read like bag0000000010, got {name!r}. Mend the entry.")
    where = f"{path}, bag {name}"
    if not isinstance(labels, list) or not labels or not all(type(label) is int for label in labels):
        raise DataError(f"{where}: BagLabel must be a list of whole numbers, got {labels!r}. Mend the entry.")
    if not isinstance(images, list) or not images:
        raise DataError(f"{where}: BagImages must be a list of folders like 0000000002/*, got {images!r}.")
    return LabelledBag(str(name), int(match[1]), labels, [_folder(image, where) for image in images])


def _folder(image: object, where: str) -> int:
    match = _FOLDER.fullmatch(image) if isinstance(image, str) else None
    if match is None:
        raise DataError(f"{where}: BagImages must name whole folders like 0000000002/*, got {image!r}. Mend the entry.")
    return int(match[1])
