"""The layout of a bag file: columns, header and content hash.

An Arrow IPC file of one record batch, one row per bag: `bag_id` int64, `size` int64, `candidates` list<int32>,
`range_start` and `range_stop` large_list<int64>. The schema's metadata holds the header as JSON.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from wsreid.data.bag_draft import BagDraft
from wsreid.data.bag_settings import BagSettings
from wsreid.errors import ConfigError

VERSION: Final = 1
HEADER_KEY: Final = b"wsreid.bags"
SCHEMA: Final = pa.schema(
    [
        pa.field("bag_id", pa.int64(), nullable=False),
        pa.field("size", pa.int64(), nullable=False),
        pa.field("candidates", pa.list_(pa.int32()), nullable=False),
        pa.field("range_start", pa.large_list(pa.int64()), nullable=False),
        pa.field("range_stop", pa.large_list(pa.int64()), nullable=False),
    ]
)


@dataclasses.dataclass(frozen=True)
class BagHeader:
    """What a bag file says of itself.

    Attributes:
        settings: The protocol, its options and its seed.
        manifest_hash: Hash of the manifest whose rows the bags name.
        hash: Of the bags and of `manifest_hash`, see `content_hash`.
    """

    settings: BagSettings
    manifest_hash: str
    hash: str

    def to_json(self) -> bytes:
        """The header as it is stored."""
        return json.dumps({"version": VERSION, **dataclasses.asdict(self)}).encode()

    @staticmethod
    def from_json(text: bytes) -> BagHeader:
        """Reads what `to_json` wrote.

        Raises:
            ValueError: It is not a header of this version; the text is to be read after the file's name.
        """
        try:
            stored = json.loads(text)
            if stored["version"] != VERSION:
                raise ValueError(f"has layout version {stored['version']}, this program reads version {VERSION}")
            settings = dict(stored["settings"])
            settings["sysu_widths"] = tuple(settings["sysu_widths"])
            return BagHeader(BagSettings(**settings), str(stored["manifest_hash"]), str(stored["hash"]))
        except (KeyError, TypeError, RecursionError, json.JSONDecodeError, UnicodeDecodeError, ConfigError) as error:
            raise ValueError(f"has a damaged header ({error!r})") from error


def content_hash(draft: BagDraft, manifest_hash: str) -> str:
    """The SHA-256 of the bags' little-endian bytes and of the manifest's hash, as 64 hexadecimal digits."""
    digest = hashlib.sha256(f"wsreid bags {VERSION} {manifest_hash}".encode())
    for field in dataclasses.fields(draft):
        column = np.ascontiguousarray(getattr(draft, field.name))
        digest.update(f"|{field.name} {column.nbytes}|".encode())
        digest.update(column.view(np.uint8).data)
    return digest.hexdigest()


def write_table(path: Path, draft: BagDraft, sizes: NDArray[np.int64], header: BagHeader) -> None:
    """Writes the file, not atomically."""
    schema = SCHEMA.with_metadata({HEADER_KEY: header.to_json()})
    columns = [
        pa.array(draft.bag_id),
        pa.array(sizes),
        pa.ListArray.from_arrays(pa.array(draft.candidate_offsets, pa.int32()), pa.array(draft.candidates)),
        pa.LargeListArray.from_arrays(pa.array(draft.range_offsets), pa.array(draft.range_start)),
        pa.LargeListArray.from_arrays(pa.array(draft.range_offsets), pa.array(draft.range_stop)),
    ]
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))


def read_table(path: Path) -> tuple[BagDraft, NDArray[np.int64], BagHeader]:
    """Maps the file into memory.

    Returns:
        The bags as views of the file, their sizes `(B,)`, and the header.

    Raises:
        OSError: The file is missing.
        ValueError: It is no bag file; the text is to be read after the file's name.
        ArrowException: It is damaged.
    """
    reader = pa.ipc.open_file(pa.memory_map(str(path)))
    stored = (reader.schema.metadata or {}).get(HEADER_KEY)
    if stored is None:
        raise ValueError("has no header of a bag file")
    header = BagHeader.from_json(stored)
    if not reader.schema.equals(SCHEMA) or reader.num_record_batches != 1:
        raise ValueError("has other columns than a bag file")
    batch = reader.get_batch(0)
    batch.validate(full=True)  # else pyarrow would read wherever a damaged file's offsets point
    if any(column.null_count for column in batch.columns):
        raise ValueError("holds nulls")
    candidates, starts, stops = (batch.column(name) for name in ("candidates", "range_start", "range_stop"))
    draft = BagDraft(
        bag_id=batch.column("bag_id").to_numpy(zero_copy_only=True),
        candidates=candidates.values.to_numpy(zero_copy_only=True),
        candidate_offsets=candidates.offsets.to_numpy(zero_copy_only=True).astype(np.int64),
        range_start=starts.values.to_numpy(zero_copy_only=True),
        range_stop=stops.values.to_numpy(zero_copy_only=True),
        range_offsets=starts.offsets.to_numpy(zero_copy_only=True),
    )
    if not np.array_equal(draft.range_offsets, stops.offsets.to_numpy(zero_copy_only=True)):
        raise ValueError("has ranges without an end")
    return draft, batch.column("size").to_numpy(zero_copy_only=True), header
