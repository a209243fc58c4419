"""The manifest: one row per image of a data set, memory-mapped from one file."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import ArrayLike, NDArray

from wsreid.data.images import ImageLocation
from wsreid.data.manifest_format import HEADER_KEY, SCHEMA, ManifestHeader, content_hash, count_known, paths_outside
from wsreid.data.manifest_writer import write_manifest
from wsreid.data.mapped_file import Lookup, MappedFile, Names
from wsreid.data.records import COLUMNS, NO_CAMERAS, ImageRecords, Problem, Split, pieces
from wsreid.errors import DataError

__all__ = ["NO_CAMERAS", "ImageRecords", "Manifest", "Problem", "Split", "write_manifest"]

_REMEDY: Final = "Give the right file, or leave the option data.manifest out."


class Manifest:
    """A data set's images as columns of a memory-mapped file, whatever files they came from.

    The columns are read-only views of the file: opening reads none of them, and forked workers share them. Single
    rows are looked up by `location`, `file` and `take`, which map nothing: a process that draws images at random from
    millions grows by none of them. Pickling carries the path alone, so spawned workers open the file themselves. Rows
    are in the order train, query, gallery.

    Attributes:
        path: The manifest's file.
        root: Folder that the images' files are relative to.
        source: Name of the source that read the data set.
        hash: SHA-256 of the content as written; `check` compares it with the columns.
        identities: Training identities, ascending, `(K,)` int64; the position is the class index.
        pid_names: The identities' names where they are no numbers: identity p is `pid_names[p - 1]`.
        notes: What a reader of the results must know about the set.
        problems: Files that were left out when it was made; where they are many, the first of each kind.
        problem_count: How many were left out.
        archives: The tars that images lie in, as they were when it was made.
        offset: First byte of the image in its file, `(N,)` int64; -1 = the whole file.
        size: Bytes of the image, `(N,)` int64.
        camera: `(N,)` int32; -1 = unknown.
        sequence: `(N,)` int32; -1 = unknown.
        frame: `(N,)` int64; -1 = unknown.
        split: A `Split` each, `(N,)` int8.
        pid: Identity as the data set numbers it, `(N,)` int32; -1 = junk or unknown, 0 = distractor.
    """

    offset: NDArray[np.int64]
    size: NDArray[np.int64]
    camera: NDArray[np.int32]
    sequence: NDArray[np.int32]
    frame: NDArray[np.int64]
    split: NDArray[np.int8]
    pid: NDArray[np.int32]

    def __init__(
        self, path: Path, root: Path, header: ManifestHeader, batch: pa.RecordBatch, mapped: MappedFile, remedy: str
    ) -> None:
        self.path = path
        self._mapped = mapped
        self._remedy = remedy
        self.root = root
        self.source = header.source
        self.hash = header.hash
        self.identities: NDArray[np.int64] = np.array(header.identities, np.int64)
        self.identities.flags.writeable = False
        self.pid_names = header.pid_names
        self.notes = header.notes
        self.problems = header.problems
        self.problem_count = len(header.problems) + header.unnamed_problems
        self.archives = header.archives
        self._header = header
        self._columns: dict[str, NDArray[np.signedinteger]] = {
            name: batch.column(name).to_numpy(zero_copy_only=True) for name in COLUMNS
        }
        for name, column in self._columns.items():
            setattr(self, name, column)
        self._file: pa.DictionaryArray = batch.column("file")
        self._names = Names(mapped, self._file.dictionary)
        self._name_index: NDArray[np.int32] = self._file.indices.to_numpy(zero_copy_only=True)
        self._lookup = {name: Lookup(mapped, column) for name, column in self._columns.items()}
        self._name_lookup = Lookup(mapped, self._name_index)

    @classmethod
    def open(cls, path: Path, root: Path | None = None, remedy: str = _REMEDY) -> Manifest:
        """Maps a manifest into memory; the content hash is not verified here but by `check`.

        Args:
            path: A file of `write_manifest`.
            root: Folder that the images' files are relative to; None = where they were when it was written.
            remedy: What the user is told to do about a damaged file; by default, as for one that the user named.

        Returns:
            The manifest.

        Raises:
            DataError: The file is missing, damaged, or no manifest.
        """
        path = Path(path).absolute()
        try:
            mapped = MappedFile(path)
            reader = pa.ipc.open_file(pa.BufferReader(mapped.buffer))
            stored = (reader.schema.metadata or {}).get(HEADER_KEY)
            if stored is None:
                raise DataError(f"{path} is no wsreid manifest. {remedy}")
            header = ManifestHeader.from_json(stored)
            if not reader.schema.equals(SCHEMA) or reader.num_record_batches != 1:
                raise ValueError("has other columns than a manifest")
            batch = reader.get_batch(0)
            batch.validate()  # lengths against buffer sizes; reads no column
        except FileNotFoundError as error:
            raise DataError(f"the manifest {path} does not exist") from error
        except (pa.ArrowException, ValueError, OSError) as error:
            raise DataError(f"{path} is no readable manifest file, or a damaged one: {error}. {remedy}") from error
        if batch.num_rows != sum(header.counts) or any(column.null_count for column in batch.columns):
            raise DataError(
                f"the manifest {path} holds {batch.num_rows} rows, its header says {header.counts}. {remedy}"
            )
        return cls(path, Path(header.root) if root is None else Path(root).absolute(), header, batch, mapped, remedy)

    def __len__(self) -> int:
        """The number N of images."""
        return len(self.pid)

    def __repr__(self) -> str:
        counts = ", ".join(f"{split.name.lower()} {n}" for split, n in zip(Split, self._header.counts, strict=True))
        return f"Manifest({self.source}, {counts}, {str(self.path)!r})"

    def __reduce__(self) -> tuple[object, ...]:
        return Manifest.open, (self.path, self.root, self._remedy)

    def file(self, row: int) -> str:
        """Path, relative to the root, of the image or of the tar that holds it.

        Raises:
            DataError: The row names no file.
        """
        index = self._name_lookup[row]
        if not 0 <= index < len(self._names):
            raise DataError(f"the manifest {self.path} is damaged: row {row} names no file. {self._remedy}")
        return self._names[index]

    def location(self, row: int) -> ImageLocation:
        """Where the bytes of an image are.

        Raises:
            DataError: The path leads out of the root, or the row names no file.
        """
        name = self.file(row)
        if name.startswith("/") or ".." in name.split("/"):
            raise DataError(f"{self.path}: row {row} names {name!r}, which is not inside the root. {self._remedy}")
        return ImageLocation(self.root / name, self._lookup["offset"][row], self._lookup["size"][row])

    def take(self, column: str, rows: NDArray[np.int64]) -> NDArray[np.signedinteger]:
        """Values of a number column for a few rows anywhere, such as those of a batch.

        Args:
            column: One of `records.COLUMNS`.
            rows: Manifest rows, `(n,)`.

        Returns:
            `(n,)`, of the column's type.
        """
        return self._lookup[column].take(rows)

    def rows_in(self, file: str) -> Iterator[NDArray[np.int64]]:
        """The rows whose bytes lie in a file, ascending, in pieces of at most about a million, `(n,)` int64 each.

        Args:
            file: Path relative to the root.

        Raises:
            DataError: The manifest is damaged.
        """
        names = self._whole_names
        code, start = pc.index(names, pa.scalar(file, names.type)).as_py(), 0
        if code < 0:
            return
        for piece in pieces(self._name_index):
            found = np.flatnonzero(piece == code) + start
            self._mapped.release()
            start += len(piece)
            if len(found):
                yield found

    def row_range(self, split: Split) -> range:
        """The rows of a split, which are neighbours."""
        start = sum(self._header.counts[:split])
        return range(start, start + self._header.counts[split])

    def rows(self, split: Split) -> NDArray[np.int64]:
        """The rows of a split, ascending, `(n,)` int64; `row_range` says the same without the memory."""
        span = self.row_range(split)
        return np.arange(span.start, span.stop, dtype=np.int64)

    @cached_property
    def has_truth(self) -> bool:
        """Whether the identity of any training image is known."""
        if self._header.known is not None:
            return self._header.known > 0
        return self._count_known() > 0

    def class_index(self, pid: ArrayLike) -> NDArray[np.int32]:
        """The class indices of identities.

        Args:
            pid: Identities as the data set numbers them, whole numbers of any shape.

        Returns:
            Their positions in `identities`, int32 of the same shape; -1 = no training identity.
        """
        wanted = np.asarray(pid, dtype=np.int64)
        if not len(self.identities):
            return np.full(wanted.shape, -1, np.int32)
        at = np.minimum(np.searchsorted(self.identities, wanted), len(self.identities) - 1)
        return np.where(self.identities[at] == wanted, at, -1).astype(np.int32)

    def pid_name(self, pid: int) -> str:
        """What the data set calls an identity."""
        if self.pid_names is None or not 1 <= pid <= len(self.pid_names):
            return str(pid)
        return self.pid_names[pid - 1]

    def check(self) -> None:
        """Verifies the content hash, the counts and the paths; reads the whole file once.

        Raises:
            DataError: Something does not agree.
        """
        if len(self) and not 0 <= int(self._name_index.min()) <= int(self._name_index.max()) < len(self._names):
            raise DataError(f"the manifest {self.path} is damaged: a row names no file. {self._remedy}")
        found = content_hash(self._columns, self._file, self.identities, self.pid_names, self._mapped.release)
        if found != self.hash:
            raise DataError(
                f"the manifest {self.path} is damaged: its content hash is {found[:12]}, its header says "
                f"{self.hash[:12]}. {self._remedy}"
            )
        counts = tuple(int(sum(np.count_nonzero(piece == split) for piece in pieces(self.split))) for split in Split)
        if counts != self._header.counts or np.any(self.split[1:] < self.split[:-1]):
            raise DataError(
                f"the manifest {self.path} counts {self._header.counts} train, query and gallery rows, "
                f"but holds {counts}. {self._remedy}"
            )
        if self._header.known not in (None, known := self._count_known()):
            raise DataError(
                f"the manifest {self.path} counts {self._header.known} training rows of known identity, but holds "
                f"{known}. {self._remedy}"
            )
        if outside := paths_outside(self._whole_names):
            raise DataError(f"the manifest {self.path} names files outside the root: {outside}. {self._remedy}")

    @cached_property
    def _whole_names(self) -> pa.LargeStringArray:
        names = self._file.dictionary
        try:
            names.validate(full=True)  # else pyarrow would read wherever a damaged file's offsets point
        except pa.ArrowException as error:
            raise DataError(f"the manifest {self.path} is damaged: {error}. {self._remedy}") from error
        return names

    def _count_known(self) -> int:
        known = count_known(self.pid[: len(self.row_range(Split.TRAIN))])
        self._mapped.release()
        return known
