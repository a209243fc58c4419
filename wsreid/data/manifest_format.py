"""The layout of a manifest file: columns, header and content hash.

An Arrow IPC file of one record batch: the number columns of `records.COLUMNS`, without nulls, then `file`, a
dictionary<int32, large_string>. The schema's metadata holds the header as JSON.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from wsreid.data.archives import Archive
from wsreid.data.records import COLUMNS, Problem, pieces

VERSION: Final = 1
HEADER_KEY: Final = b"wsreid.manifest"
FILE_TYPE: Final = pa.dictionary(pa.int32(), pa.large_string())
SCHEMA: Final = pa.schema(
    [pa.field(name, pa.from_numpy_dtype(dtype), nullable=False) for name, dtype in COLUMNS.items()]
    + [pa.field("file", FILE_TYPE, nullable=False)]
)
_OUTSIDE: Final = r"^$|^/|(^|/)\.\.(/|$)|\x00"
_HASH_CHUNK: Final = 1 << 22


@dataclass(frozen=True)
class ManifestHeader:
    """What a manifest says of itself.

    Attributes:
        version: Of this layout.
        source: Name of the source that read the data set.
        root: Absolute path that the files are relative to, where the manifest was made.
        hash: Of the content, see `content_hash`.
        counts: Rows of the splits train, query and gallery.
        identities: Training identities, ascending.
        pid_names: The identities' names where they are no numbers.
        notes: What a reader of the results must know about the set.
        problems: Files that were left out.
        known: Training rows whose identity is known; None in a manifest that was written before this was counted.
        unnamed_problems: Files that were left out besides `problems`; 0 in a manifest from before they were counted.
        archives: The tars that rows lie in, as they were; none in a manifest from before they were recorded.
    """

    version: int
    source: str
    root: str
    hash: str
    counts: tuple[int, int, int]
    identities: tuple[int, ...]
    pid_names: tuple[str, ...] | None
    notes: tuple[str, ...]
    problems: tuple[Problem, ...]
    known: int | None
    unnamed_problems: int
    archives: tuple[Archive, ...]

    def to_json(self) -> bytes:
        """The header as it is stored."""
        return json.dumps(asdict(self), ensure_ascii=False).encode()

    @staticmethod
    def from_json(text: bytes) -> ManifestHeader:
        """Reads what `to_json` wrote.

        Raises:
            ValueError: It is not a header of this version; the text is to be read after the file's name.
        """
        try:
            stored = json.loads(text)
            if stored["version"] != VERSION:
                raise ValueError(f"has layout version {stored['version']}, this program reads version {VERSION}")
            train, query, gallery = (int(n) for n in stored["counts"])
            names, known = stored["pid_names"], stored.get("known")
            np.array([int(p) for p in stored["identities"]], np.int64)  # they fit the type that they are kept in
            return ManifestHeader(
                version=VERSION,
                source=str(stored["source"]),
                root=str(stored["root"]),
                hash=str(stored["hash"]),
                counts=(train, query, gallery),
                identities=tuple(int(p) for p in stored["identities"]),
                pid_names=None if names is None else tuple(str(n) for n in names),
                notes=tuple(str(n) for n in stored["notes"]),
                problems=tuple(
                    Problem(**{f.name: str(p[f.name]) for f in fields(Problem)}) for p in stored["problems"]
                ),
                known=None if known is None else int(known),
                unnamed_problems=int(stored.get("unnamed_problems", 0)),
                archives=tuple(
                    Archive(str(a["file"]), int(a["size"]), int(a["mtime_ns"])) for a in stored.get("archives", ())
                ),
            )
        except (KeyError, TypeError, OverflowError, RecursionError, json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"has a damaged header ({error!r})") from error


def content_hash(
    columns: Mapping[str, NDArray[np.signedinteger]],
    file: pa.DictionaryArray,
    identities: NDArray[np.int64],
    pid_names: tuple[str, ...] | None,
    after_chunk: Callable[[], None] = lambda: None,
) -> str:
    """The SHA-256 of the columns' little-endian bytes and of the identities, in a fixed order.

    The root, the notes and the archives' times are left out: the same images in another place have the same hash.

    Args:
        columns: The number columns, each `(N,)`.
        file: The paths, `(N,)`.
        identities: Training identities, `(K,)`.
        pid_names: The identities' names where they are no numbers.
        after_chunk: Called each time that some megabytes have been read.

    Returns:
        64 hexadecimal digits.
    """
    names = file.dictionary
    offsets, text = _string_buffers(names)
    parts: list[tuple[str, NDArray[np.generic]]] = [(name, columns[name]) for name in COLUMNS]
    parts += [("file index", file.indices.to_numpy(zero_copy_only=True)), ("file offsets", offsets), ("file", text)]
    parts += [("identities", identities)]
    digest = hashlib.sha256(f"wsreid manifest {VERSION}".encode())
    for name, array in parts:
        little = np.ascontiguousarray(array).view(np.uint8)
        digest.update(f"|{name} {len(little)}|".encode())
        for start in range(0, len(little), _HASH_CHUNK):
            digest.update(little[start : start + _HASH_CHUNK].data)
            after_chunk()
    digest.update(json.dumps(pid_names).encode())
    return digest.hexdigest()


def count_known(pid: NDArray[np.int32]) -> int:
    """How many rows have a known identity; takes little memory for any number of them."""
    return sum(int(np.count_nonzero(piece >= 0)) for piece in pieces(pid))


def paths_outside(names: pa.Array) -> list[str]:
    """Those of the paths that are empty, absolute, or lead out of the root by `..`; at most five of them."""
    return [str(name) for name in names.filter(pc.match_substring_regex(names, _OUTSIDE)).slice(0, 5).to_pylist()]


def _string_buffers(names: pa.Array) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """The ends of the strings, counted from the first, and their text, whatever slice or padding the array has."""
    _, offsets, text = names.buffers()
    ends = np.frombuffer(offsets, np.int64, count=len(names) + 1, offset=8 * names.offset)
    data = np.frombuffer(text, np.uint8) if text is not None and text.size else np.empty(0, np.uint8)
    return ends - ends[0], data[ends[0] : ends[-1]]
