"""Reads a `.wandb` file back: the log that W&B writes of an offline run, and that `wandb sync` sends.

wandb has no reader of its own any more. The framing is that of LevelDB's log: blocks of 32 KiB, in them pieces with a
header of 7 bytes (checksum, length, kind); the first block starts with a file header of 7 bytes.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from wsreid.errors import DataError

_IDENT: Final = b":W&B"
_FILE_HEADER: Final = 7
_BLOCK: Final = 32 * 1024
_PIECE_HEADER: Final = struct.Struct("<IHB")
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


def records(path: Path) -> Iterator[Any]:
    """The records of a run, in the order in which they were logged; a record that was cut short ends them.

    Args:
        path: The `.wandb` file.

    Yields:
        W&B's `Record` messages, a class that is made at run time.

    Raises:
        DataError: It is none.
    """
    from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined]

    for payload in _payloads(path):
        yield Record.FromString(payload)


def is_whole(path: Path) -> bool:
    """Whether the log of a finished run reaches its end; it does not where the disk was full on the way.

    Args:
        path: The `.wandb` file.
    """
    from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined]

    try:
        last = b""
        for payload in _payloads(path):
            last = payload
    except (OSError, DataError):
        return False
    return Record.FromString(last).WhichOneof("record_type") in ("exit", "footer")


def _payloads(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        if not file.read(_FILE_HEADER).startswith(_IDENT):
            raise DataError(f"{path}: no .wandb file of W&B.")
        begun = b""
        while True:
            left = _BLOCK - file.tell() % _BLOCK
            if left < _PIECE_HEADER.size:  # too short for a header: padding
                file.seek(left, 1)
            header = file.read(_PIECE_HEADER.size)
            if len(header) < _PIECE_HEADER.size:
                return
            checksum, length, kind = _PIECE_HEADER.unpack(header)
            piece = file.read(length)
            if len(piece) < length or zlib.crc32(piece, zlib.crc32(header[6:])) != checksum:
                return
            begun = piece if kind in (_FULL, _FIRST) else begun + piece
            if kind in (_FULL, _LAST):
                yield begun
