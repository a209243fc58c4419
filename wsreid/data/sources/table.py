"""Your own images, listed in tables: csv or parquet."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import ClassVar, Final, NamedTuple

from wsreid.data.image_header import SNIFF_BYTES, sniff
from wsreid.data.records import ImageRecords, Split
from wsreid.data.sources.base import Source
from wsreid.data.sources.builder import ImageEntry, RecordsBuilder
from wsreid.data.sources.numbering import numbered
from wsreid.data.sources.table_file import ENDINGS, TableRow, read_table
from wsreid.errors import ConfigError, DataError

_COLUMNS: Final = ("file", "pid", "camera", "sequence", "frame", "split")
_SEQUENCE: Final = re.compile(r"-1|\d{1,9}", re.ASCII)
_FRAME: Final = re.compile(r"-1|\d{1,18}", re.ASCII)
_SPLITS: Final = {split.name.lower(): split for split in Split}
_JUNK: Final = "-1"


class _Listed(NamedTuple):
    """An image as its row describes it."""

    split: Split
    file: str
    pid: str
    camera: str
    sequence: int
    frame: int


class Table(Source):
    """Your own images, listed in one table with a column split, or in three tables.

    A table is .csv, .tsv or .parquet, with the columns file (path relative to the root) and pid, and, if known,
    camera, sequence and frame. One table also needs the column split: train, query or gallery. Identities and cameras
    may be numbers or any other text: where all are whole numbers they are kept, else they are numbered from 1 in
    sorted order. Identity -1 marks junk, which is dropped from the gallery.

    Args:
        table: The one table, relative to the root; None = images.csv, unless three are named.
        train: Table of the training images, instead of `table`.
        query: Table of the queries.
        gallery: Table of the gallery.
        columns: What the tables call the columns, where it is something else: {pid: person_id}.
        check_files: Look whether each image is one by its first bytes; whether it is there is always asked.
    """

    name: ClassVar[str] = "table"
    where: ClassVar[str] = (
        "It must hold images.csv with the columns file, pid, camera and split, or the tables that "
        "data.source.table, or data.source.train, query and gallery, name."
    )

    def __init__(
        self,
        table: str | None = None,
        train: str | None = None,
        query: str | None = None,
        gallery: str | None = None,
        columns: dict[str, str] | None = None,
        check_files: bool = True,
    ) -> None:
        three = {Split.TRAIN: train, Split.QUERY: query, Split.GALLERY: gallery}
        given: dict[Split | None, str] = {split: name for split, name in three.items() if name is not None}
        if given and (table is not None or len(given) < len(three)):
            raise ConfigError("table: name either one table, or all of train, query and gallery.")
        self.tables: dict[Split | None, str] = given or {None: table or "images.csv"}
        for name in self.tables.values():
            if not _inside(name) or PurePosixPath(name).suffix.lower() not in ENDINGS:
                raise ConfigError(f"table: {name!r} must be a {', '.join(ENDINGS)} file inside the root.")
        self.columns = {name: name for name in _COLUMNS} | (columns or {})
        if unknown := sorted(set(self.columns) - set(_COLUMNS)):
            raise ConfigError(f"table: columns names {', '.join(unknown)}; known are {', '.join(_COLUMNS)}.")
        self._required = frozenset({"file", "pid", *(columns or {}), *([] if given else ["split"])})
        self._chosen = columns or {}
        self.check_files = check_files

    def settings(self) -> Mapping[str, str | int | bool | None]:
        """See `Source.settings`."""
        tables = {"table" if split is None else split.name.lower(): name for split, name in self.tables.items()}
        chosen = json.dumps(self._chosen, sort_keys=True) if self._chosen else None
        return {**tables, "columns": chosen, "check_files": self.check_files}

    def watched(self, root: Path) -> Iterable[Path]:
        """The tables."""
        return [self._table(root, name) for name in self.tables.values()]

    def index(self, root: Path) -> ImageRecords:
        """Lists the images; see `Source.index`."""
        self.watched(root)
        builder = RecordsBuilder(self.name)
        listed = [image for split, name in self.tables.items() for image in self._listed(root, split, name, builder)]
        images = {image: size for image in listed if (size := self._size(root, image.file, builder)) is not None}
        pids, pid_names = numbered({image.pid for image in images})
        cameras, camera_names = numbered({image.camera for image in images if image.camera not in ("", _JUNK)})
        if camera_names:
            builder.note("cameras are numbered from 1: " + ", ".join(camera_names))
        if 0 < (without := sum(image.camera not in cameras for image in images)) < len(images):
            builder.note(f"{without} of {len(images)} images name no camera")
        builder.add(
            sorted(
                ImageEntry(i.split, cameras.get(i.camera, -1), i.sequence, i.frame, i.file, pids[i.pid], size)
                for i, size in images.items()
            )
        )
        for split in Split:
            builder.require_images(split, root, "")
        return builder.records(pid_names=pid_names)

    def _table(self, root: Path, name: str) -> Path:
        self.require_root(root)
        path = root / name
        if not path.is_file():
            deeper = sorted(found.parent for found in root.glob(f"*/{name}") if found.is_file())
            hint = f" Did you mean {deeper[0]}?" if deeper else ""
            raise DataError(f"table: {root} has no table {name!r}.{hint} {self.where}")
        return path

    def _listed(self, root: Path, fixed: Split | None, name: str, builder: RecordsBuilder) -> list[_Listed]:
        """The images of one table, those of its junk left out."""
        first: dict[tuple[Split, str], str] = {}
        images: list[_Listed] = []
        junk = 0
        columns = {name: column for name, column in self.columns.items() if fixed is None or name != "split"}
        for row in read_table(self._table(root, name), columns, self._required & columns.keys()):
            image = _read(row, fixed)
            if (other := first.setdefault((image.split, image.file), row.where)) is not row.where:
                raise DataError(f"table: {row.where}: {image.file!r} is listed before: {other}. Leave one of them out.")
            if image.pid != _JUNK:
                images.append(image)
            elif image.split == Split.GALLERY:
                junk += 1
            else:
                raise DataError(f"table: {row.where}: names no identity (-1): such images belong in the gallery.")
        if junk:
            builder.note(f"{junk} junk images (-1) dropped from the gallery")
        return images

    def _size(self, root: Path, file: str, builder: RecordsBuilder) -> int | None:
        """Bytes of an image; None, and a problem, if it is none."""
        try:
            status = (root / file).stat()
            # Opening a pipe would wait for its writer forever, so the kind of file is asked first.
            if not stat.S_ISREG(status.st_mode):
                builder.problem(file, "is no regular file")
                return None
            with open(root / file, "rb", buffering=0) as opened:  # noqa: PTH123 - a third of the time of Path.open
                head = opened.read(SNIFF_BYTES) if self.check_files else b""
        except OSError as error:
            builder.problem(file, f"cannot be read: {error.strerror or error}")
            return None
        if status.st_size == 0:
            builder.problem(file, "is empty (0 bytes)")
            return None
        if self.check_files and sniff(head) is None:
            builder.problem(file, "is no JPEG, PNG or BMP image: its first bytes are those of something else")
            return None
        return status.st_size


def _read(row: TableRow, fixed: Split | None) -> _Listed:
    """Reads a row.

    Raises:
        DataError: A cell is missing or wrong; the message names file and line.
    """
    cells = row.cells
    for name in ("file", "pid"):
        if not cells[name]:
            raise DataError(f"table: {row.where}: the cell {name} is empty.")
    file = cells["file"].removeprefix("./")
    if not _inside(file):
        raise DataError(f"table: {row.where}: {file!r} must be a path inside the root, with '/' and without '..'.")
    split = _SPLITS.get(cells["split"].lower()) if fixed is None else fixed
    if split is None:
        raise DataError(f"table: {row.where}: split {cells['split']!r}, expected {', '.join(_SPLITS)}.")
    numbers: dict[str, int] = {}
    for name, pattern in (("sequence", _SEQUENCE), ("frame", _FRAME)):
        text = cells.get(name, "") or "-1"
        if not pattern.fullmatch(text):
            raise DataError(f"table: {row.where}: {name} {text!r} is no whole number that fits.")
        numbers[name] = int(text)
    return _Listed(split, file, cells["pid"], cells.get("camera", ""), numbers["sequence"], numbers["frame"])


def _inside(name: str) -> bool:
    parts = name.split("/")
    return name != "" and not name.startswith("/") and not {"", ".", ".."} & set(parts) and "\\" not in name
