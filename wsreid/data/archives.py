"""The tars that hold a manifest's images: what they were like when it was made, and whether they still are."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wsreid.data.tars.headers import BLOCK, parse_header

_FILES: Final = frozenset(b"\x0007")


@dataclass(frozen=True)
class Archive:
    """A tar as it was when the manifest was made.

    Attributes:
        file: Path relative to the root.
        size: Bytes.
        mtime_ns: Time of the last change, in nanoseconds since 1970.
    """

    file: str
    size: int
    mtime_ns: int


def look_at(root: Path, file: str) -> Archive:
    """What a tar is like now.

    Args:
        root: Folder that `file` is relative to.
        file: The tar.

    Raises:
        OSError: It cannot be looked at.
        ValueError: It is no regular file.
    """
    status = (root / file).stat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("is no regular file")
    return Archive(file, status.st_size, status.st_mtime_ns)


def holds_file(tar: Path, offset: int, size: int) -> bool:
    """Whether the header of a regular member of this size lies right before an offset.

    Args:
        tar: The tar.
        offset: First byte of the member's data.
        size: Bytes of its data.

    Raises:
        OSError: The tar cannot be read.
    """
    if offset < BLOCK:
        return False
    descriptor = os.open(tar, os.O_RDONLY | os.O_NONBLOCK)  # opening a pipe would wait for its writer forever
    try:
        kind, found, _ = parse_header(os.pread(descriptor, BLOCK, offset - BLOCK))
    except ValueError:
        return False
    finally:
        os.close(descriptor)
    return kind in _FILES and found == size


def archives_of(root: Path, files: Iterable[str]) -> tuple[Archive, ...]:
    """Those of the tars that can be looked at, as they are now."""
    found = []
    for file in files:
        try:
            found.append(look_at(root, file))
        except (OSError, ValueError):  # its images cannot be read either, which is said where they are
            continue
    return tuple(found)
