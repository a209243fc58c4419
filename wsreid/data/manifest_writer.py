"""Writing a manifest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from wsreid.data.archives import archives_of
from wsreid.data.cache import write_atomically
from wsreid.data.manifest_format import (
    HEADER_KEY,
    SCHEMA,
    VERSION,
    ManifestHeader,
    content_hash,
    count_known,
    paths_outside,
)
from wsreid.data.records import COLUMNS, ImageRecords, Split, pieces
from wsreid.errors import DataError


def write_manifest(path: Path, records: ImageRecords, *, source: str, root: Path) -> None:
    """Writes a manifest, whole or not at all.

    Args:
        path: The file to write; one that exists is replaced.
        records: The images.
        source: Name of the source that read them.
        root: Folder that the records' files are relative to.

    Raises:
        DataError: A file's path leads out of the root, or the folder of `path` cannot be written to.
        OSError: The disk is full.
    """
    columns = {name: getattr(records, name) for name in COLUMNS}
    file = _file_column(records)
    if outside := paths_outside(file.dictionary):
        raise DataError(
            f"{source}: these image paths are not inside the root {root}: {', '.join(map(repr, outside))}. "
            "Paths in lists and dictionaries must be relative to the root, without '..'."
        )
    archives = archives_of(root, _archive_names(records, file))  # first: hashing many rows takes a while
    ends = np.searchsorted(records.split, np.array(list(Split), np.int8), "right")  # (3,): the splits ascend
    train, query, gallery = np.diff(ends, prepend=0).tolist()
    header = ManifestHeader(
        version=VERSION,
        source=source,
        root=str(root.absolute()),
        hash=content_hash(columns, file, records.identities, records.pid_names),
        counts=(train, query, gallery),
        identities=tuple(records.identities.tolist()),
        pid_names=records.pid_names,
        notes=records.notes,
        problems=records.problems,
        known=count_known(records.pid[:train]),
        unnamed_problems=records.unnamed_problems,
        archives=archives,
    )
    schema = SCHEMA.with_metadata({HEADER_KEY: header.to_json()})
    # One batch, so that each column is one stretch of the file and maps to NumPy without a copy.
    batch = pa.RecordBatch.from_arrays([pa.array(column) for column in columns.values()] + [file], schema=schema)

    def write(partial: Path) -> None:
        with pa.OSFile(str(partial), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
            writer.write_batch(batch)

    write_atomically(path, write)


def _file_column(records: ImageRecords) -> pa.DictionaryArray:
    names = pa.array(records.file, pa.large_string())
    if records.file_index is None:
        return names.dictionary_encode()
    return pa.DictionaryArray.from_arrays(pa.array(records.file_index), names)


def _archive_names(records: ImageRecords, file: pa.DictionaryArray) -> list[str]:
    """The files that hold an image as a range of their bytes."""
    named = np.zeros(len(file.dictionary), bool)
    for index, offset in zip(pieces(file.indices.to_numpy()), pieces(records.offset), strict=True):
        named[index[offset >= 0]] = True
    return [str(name) for name in file.dictionary.filter(pa.array(named)).to_pylist()]
