"""Finding the folder of a data set where the root is that folder, or the one that holds it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from wsreid.data.sources.base import Source
from wsreid.data.sources.scan import subfolders
from wsreid.errors import DataError


def archive_folder(source: Source, root: Path, inner: Sequence[str], needed: Sequence[str]) -> Path:
    """The root, or the folder inside it that the data set's archive unpacks to.

    Args:
        source: Reader of the data set.
        root: The data set's folder.
        inner: Names of the folders that archives of this data set unpack to.
        needed: Folders that the data set's folder has, relative to it.

    Raises:
        DataError: None has all of the needed folders, or several have. A folder next to the root that has them is
            named.
    """
    source.require_root(root)
    places = [root, *(root / name for name in inner)]
    fitting = [place for place in places if _holds(place, needed)]
    if len(fitting) > 1:
        both = " and ".join(str(place) for place in fitting[:2])
        raise DataError(f"{source.name}: {both} both hold a data set. Give one of them as the root.")
    if fitting:
        return fitting[0]
    nearest = max(places, key=lambda place: sum((place / name).is_dir() for name in needed))
    missing = next(name for name in needed if not (nearest / name).is_dir())
    elsewhere = next((place for place in _around(root, inner) if _holds(place, needed)), None)
    hint = f" Did you mean {elsewhere}?" if elsewhere else ""
    raise DataError(f"{source.name}: {nearest} has no folder {missing!r}.{hint} {source.where}")


def _around(root: Path, inner: Sequence[str]) -> Iterator[Path]:
    yield from root.absolute().parents[:2]
    for folder in subfolders(root):
        yield folder
        yield from (folder / name for name in inner)


def _holds(place: Path, needed: Sequence[str]) -> bool:
    # unlike Path.is_dir, no error where a neighbour may not be entered
    return all(os.path.isdir(place / name) for name in needed)  # noqa: PTH112
