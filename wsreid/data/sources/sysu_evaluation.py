"""The query and gallery images of SYSU-30k, from tars and folders."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa

from wsreid.data.records import Split
from wsreid.data.sources.file_list import FileList
from wsreid.data.sources.scan import Found
from wsreid.data.sources.sysu_names import place_of, read_test_name
from wsreid.data.sources.sysu_report import Report
from wsreid.data.tars.findings import Kind
from wsreid.data.tars.index import TarIndex


class TestImage(NamedTuple):
    """A query or gallery image; in the order of these fields."""

    camera: int
    frame: int
    key: str
    pid: int
    file: str
    offset: int
    size: int


@dataclass(frozen=True)
class _Where:
    tar: int
    offset: int
    size: int
    file: str


class TestSet:
    """Gathers query and gallery; a name that comes more than once counts once, and the last one added counts."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._found: dict[Split, dict[str, _Where]] = {Split.QUERY: {}, Split.GALLERY: {}}

    def add_tar(self, position: int, index: TarIndex) -> None:
        """Adds the test images of a tar.

        Args:
            position: The tar's position in the report.
            index: Its index.
        """
        for batch in index.batches():
            for folder, name, offset, size in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                place = place_of(folder)
                if place is not None and place.split != Split.TRAIN:
                    where = _Where(position, offset, size, self._report.tars[position])
                    self._add(place.split, f"{place.inside}{name}", where)

    def add_folder(self, split: Split, prefix: str, found: Iterable[Found]) -> None:
        """Adds the images of the unpacked folder query or gallery.

        Args:
            split: Which of the two.
            prefix: The folder's path relative to the root, with a `/` at its end.
            found: Its images.
        """
        for image in found:
            self._add(split, image.file[len(prefix) :], _Where(-1, -1, image.size, image.file))

    def images(self, split: Split, listed: FileList | None) -> list[TestImage]:
        """The usable images of a split, in order; the others are reported.

        Args:
            split: Query or gallery.
            listed: Which files to use; None = all.
        """
        found = self._found[split]
        if listed is not None:
            # The split's folder stands before flat names, as in lists of them.
            paths = pa.array([f"{split.name.lower()}/{key}" for key in found], pa.large_string())
            found = dict(entry for entry, taken in zip(found.items(), listed.take(paths), strict=True) if taken)
        images = (self._image(split, key, where) for key, where in found.items())
        return sorted(image for image in images if image is not None)

    def _add(self, split: Split, key: str, where: _Where) -> None:
        before = self._found[split].get(key)
        if before is not None and before.tar >= 0:
            self._report.findings[before.tar].add(Kind.DUPLICATE, f"{split.name.lower()}/{key}")
        self._found[split][key] = where

    def _image(self, split: Split, key: str, where: _Where) -> TestImage | None:
        inside, slash, name = key.rpartition("/")
        said = read_test_name(split, inside + slash, name)
        kind = None
        if said is None:
            kind = Kind.TEST_NAME
        elif where.size <= 0:
            kind = Kind.EMPTY if where.size == 0 else Kind.CONTENT
        if kind is not None and where.tar >= 0:
            self._report.findings[where.tar].add(kind, f"{split.name.lower()}/{key}")
        elif kind is not None:
            self._report.problem(where.file, kind.value)
        if said is None or kind is not None:
            return None
        return TestImage(said.camera, said.frame, key, said.pid, where.file, where.offset, where.size)
