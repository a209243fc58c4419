"""Reading a range of bytes of a large file, from a descriptor that stays open."""

from __future__ import annotations

import os
import stat
from collections import OrderedDict
from pathlib import Path
from typing import Final

MOST_OPEN: Final = 32
"""Files that a process keeps open: SYSU-30k has eleven tars."""


def read_range(path: Path, offset: int, size: int) -> bytes:
    """Reads a range by one `pread`.

    Safe in forked and spawned processes and in threads, without a lock: `pread` does not use the position that forked
    processes share, a descriptor belongs to the process that opened it, and it is closed when it has left the cache
    and its last reader lets go of it.

    Args:
        path: A regular file.
        offset: First byte.
        size: Bytes.

    Returns:
        The bytes; fewer if the file ends before.

    Raises:
        OSError: The file cannot be opened or read.
        IsNoFileError: It is no regular file.
    """
    descriptor = _opened(path)  # held, so that no other thread closes it meanwhile
    return os.pread(descriptor.number, size, offset)


class IsNoFileError(OSError):
    """A folder, a pipe or a device, where a file is expected."""


class _Descriptor:
    """A file descriptor that closes itself."""

    __slots__ = ("number",)

    def __init__(self, path: Path) -> None:
        # Opening a pipe would wait for its writer forever.
        self.number = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        if not stat.S_ISREG(os.fstat(self.number).st_mode):
            raise IsNoFileError

    def __del__(self, close=os.close) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001 - kept to the very end
        if hasattr(self, "number"):
            close(self.number)


_cache: OrderedDict[tuple[int, Path], _Descriptor] = OrderedDict()
"""By process and path, the one used last at the end."""


def _opened(path: Path) -> _Descriptor:
    key = (os.getpid(), path)
    try:
        descriptor = _cache[key]
        _cache.move_to_end(key)
    except KeyError:  # also where another thread has just dropped it
        descriptor = _Descriptor(path)
        _cache[key] = descriptor
        while len(_cache) > MOST_OPEN:
            try:
                _cache.popitem(last=False)
            except KeyError:
                break
    return descriptor
