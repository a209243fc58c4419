"""The index of one tar: folder, name, offset and size of each image in it, in a file that is made once."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

import pyarrow as pa

from wsreid.data.cache import build_once, cache_dir
from wsreid.data.image_header import SUFFIXES, sniff
from wsreid.data.tars.findings import Findings, Kind
from wsreid.data.tars.walk import Member, NotATar, regular_members
from wsreid.errors import DataError

BATCH: Final = 1 << 16
"""Rows held in memory at once."""

_VERSION: Final = 1
_KEY: Final = b"wsreid.tar"
_SCHEMA: Final = pa.schema(
    [
        pa.field("folder", pa.string(), nullable=False),
        pa.field("name", pa.string(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("size", pa.int64(), nullable=False),
    ]
)
_JPEG: Final = b"\xff\xd8\xff"
_HIDDEN: Final = (".", "@")
_LEFT_BEHIND: Final = frozenset({"thumbs.db", "desktop.ini"})
_RESOURCE_FORKS: Final = "__MACOSX"


class TarError(DataError):
    """A file that is no tar, cannot be read, or changes while it is read."""


@dataclass(frozen=True)
class TarIndex:
    """An index that was made.

    Attributes:
        tar: The tar.
        path: The index file.
        rows: Files with the name of an image, duplicates counted.
        findings: What was left out.
    """

    tar: Path
    path: Path
    rows: int
    findings: Findings

    def batches(self, *columns: str) -> Iterator[pa.RecordBatch]:
        """The images in the order of the tar, at most `BATCH` at a time.

        Args:
            *columns: `folder` and `name` (without a `/` between them), `offset`, `size`; none named = all. An empty
                file has size 0, and one whose first bytes are those of no image its size negated: they keep their
                rows because they may be what replaces an earlier image of their name.

        Raises:
            DataError: The index is damaged.
        """
        fields = [_SCHEMA.get_field_index(column) for column in columns] or None
        with (
            pa.OSFile(str(self.path)) as file,
            pa.ipc.open_file(file, options=pa.ipc.IpcReadOptions(included_fields=fields, use_threads=False)) as reader,
        ):
            for number in range(reader.num_record_batches - 1):  # the last one holds the summary
                try:
                    batch = reader.get_batch(number)
                    batch.validate(full=True)  # else pyarrow would read wherever a damaged file's offsets point
                except (pa.ArrowException, OSError) as error:
                    raise _damaged(self.path, error) from error
                yield batch


def index_path(tar: Path) -> Path:
    """Where the index of a tar is kept: named after its path, size and time of change.

    Args:
        tar: The tar.

    Raises:
        OSError: It cannot be looked at.
    """
    status = tar.stat()
    key = f"{_VERSION}\n{tar.absolute()}\n{status.st_size}\n{status.st_mtime_ns}"
    digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return cache_dir() / "tars" / f"{tar.stem[:60]}-{digest}.arrow"


def make_index(tar: Path, passed: Callable[[int], None] = lambda _: None) -> TarIndex:
    """Indexes a tar, or finds that this has been done.

    Args:
        tar: The tar.
        passed: Called now and then with the bytes walked through so far.

    Returns:
        The index; its file appears whole or not at all.

    Raises:
        TarError: The file is no tar, cannot be read, or changes while it is read.
        DataError: The cache folder cannot be written to.
    """
    try:
        path = index_path(tar)
    except OSError as error:
        raise _unreadable(tar, error) from error
    build_once(path, lambda partial: _write(tar, partial, passed))
    return open_index(tar, path)


def open_index(tar: Path, path: Path) -> TarIndex:
    """Opens an index.

    Raises:
        DataError: The file is damaged.
    """
    try:
        with pa.OSFile(str(path)) as file, pa.ipc.open_file(file) as reader:
            if not reader.schema.equals(_SCHEMA):
                raise ValueError("it has other columns")
            metadata = reader.get_batch_with_custom_metadata(reader.num_record_batches - 1).custom_metadata
            summary = json.loads(metadata[_KEY])
        return TarIndex(tar, path, int(summary["rows"]), Findings.from_json(summary["findings"]))
    except (pa.ArrowException, ValueError, KeyError, TypeError, OSError) as error:
        raise _damaged(path, error) from error


def _write(tar: Path, partial: Path, passed: Callable[[int], None]) -> None:
    try:
        # Opening a pipe would wait for its writer forever.
        descriptor = os.open(tar, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise _unreadable(tar, error) from error
    try:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            raise TarError(f"{tar} is no regular file.")
        findings = Findings()
        rows = 0
        options = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
        with pa.OSFile(str(partial), "wb") as sink, pa.ipc.new_file(sink, _SCHEMA, options=options) as writer:
            members = _members(tar, descriptor, before.st_size, findings, passed)
            for batch in _batches(members, findings):
                writer.write_batch(batch)
                rows += batch.num_rows
            summary = json.dumps({"rows": rows, "findings": findings.to_json()})
            writer.write_batch(_batch([], [], [], []), custom_metadata={_KEY: summary})
        after = os.fstat(descriptor)
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise TarError(f"{tar} changed while it was read. Wait until it is complete, then try again.")
    finally:
        os.close(descriptor)


def _members(
    tar: Path, descriptor: int, end: int, findings: Findings, passed: Callable[[int], None]
) -> Iterator[Member]:
    try:
        yield from regular_members(descriptor, end, findings, passed)
    except NotATar as error:
        raise TarError(f"{tar} {error}.") from error
    except OSError as error:
        raise _unreadable(tar, error) from error


def _batches(members: Iterable[Member], findings: Findings) -> Iterator[pa.RecordBatch]:
    folders: list[str] = []
    names: list[str] = []
    offsets: list[int] = []
    sizes: list[int] = []
    for raw, offset, size, head in members:
        place = _place(raw)
        if isinstance(place, Kind):
            findings.add(place, raw)
            continue
        folder, name = place
        if size and not head.startswith(_JPEG) and sniff(head) is None:
            size = -size
        folders.append(folder)
        names.append(name)
        offsets.append(offset)
        sizes.append(size)
        if len(names) == BATCH:
            yield _batch(folders, names, offsets, sizes)
            folders, names, offsets, sizes = [], [], [], []
    if names:
        yield _batch(folders, names, offsets, sizes)


def _batch(folders: list[str], names: list[str], offsets: list[int], sizes: list[int]) -> pa.RecordBatch:
    columns = [
        pa.array(values, field.type) for values, field in zip((folders, names, offsets, sizes), _SCHEMA, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=_SCHEMA)


def _place(raw: bytes) -> tuple[str, str] | Kind:
    """Folder and name of an image; why it is left out, if it is."""
    if not raw or b"\x00" in raw:
        return Kind.NAME
    if raw.startswith(b"/"):
        return Kind.ABSOLUTE
    try:
        path = raw.decode()
    except UnicodeDecodeError:
        return Kind.ENCODING
    if "./" in path or "//" in path:  # `./`, `../`, and also names that end with a dot, which lose nothing
        parts = [part for part in path.split("/") if part not in ("", ".")]
        if ".." in parts:
            return Kind.PARENT
        path = "/".join(parts)
    folder, _, name = path.rpartition("/")
    if name[-4:] != ".jpg" and (kind := _no_image(name)) is not None:
        return kind
    if name.startswith(_HIDDEN) or "/." in path or path.startswith(".") or _RESOURCE_FORKS in path:
        return Kind.HIDDEN
    return folder, name


def _no_image(name: str) -> Kind | None:
    if name in ("", "."):
        return Kind.NAME
    if name == "..":
        return Kind.PARENT
    if name.startswith(_HIDDEN) or name.lower() in _LEFT_BEHIND:
        return Kind.HIDDEN
    return None if PurePosixPath(name).suffix.lower() in SUFFIXES else Kind.SUFFIX


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(f"the tar index {path} is damaged: {error}. Delete it: it is made again.")


def _unreadable(tar: Path, error: OSError) -> TarError:
    return TarError(f"{tar} cannot be read: {error.strerror or error}.")
