"""A file mapped into memory whose arrays can also be read without making the process larger."""

from __future__ import annotations

import mmap
import os
import sys
import weakref
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from wsreid.errors import DataError

_Number = TypeVar("_Number", bound=np.signedinteger)


class MappedFile:
    """The bytes of a file as a buffer without a copy.

    Pages that were read count as memory of the process until they are given back, and those that no other process has
    read as its own. They cost little to give back: they stay in the system's page cache, which all processes share.
    Buffers and arrays over the file stay valid; the next read maps their pages again.

    Args:
        path: The file.

    Raises:
        OSError: It cannot be read.
        ValueError: It is empty.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        weakref.finalize(self, os.close, self.descriptor)
        self._map = mmap.mmap(self.descriptor, 0, access=mmap.ACCESS_READ)
        self.buffer: pa.Buffer = pa.py_buffer(self._map)

    def release(self) -> None:
        """Gives all pages back; does nothing on systems that know no such call."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)


class Lookup(Generic[_Number]):
    """Reads single values of an array over a mapped file, by their position in the file.

    A look through the mapping makes the process larger by 64 KiB to 2 MiB, as Linux maps what lies around: after some
    thousand images drawn at random, by the whole array. A read of 8 bytes takes a microsecond and no memory. It moves
    no file position, so forked processes may read at the same time.

    Args:
        file: The file.
        array: An array over `file.buffer`, `(N,)`.
    """

    def __init__(self, file: MappedFile, array: NDArray[_Number]) -> None:
        self._file = file
        self._start = array.ctypes.data - file.buffer.address
        self._dtype = array.dtype
        self._length = len(array)

    def __getitem__(self, index: int) -> int:
        """The value at an index in `0..N-1`.

        Raises:
            IndexError: There is none.
            DataError: The file has become shorter.
        """
        return int.from_bytes(self._bytes(index), sys.byteorder, signed=True)

    def take(self, indices: NDArray[np.int64]) -> NDArray[_Number]:
        """The values at some indices, `(n,)`; raises as for one."""
        return np.frombuffer(b"".join([self._bytes(index) for index in indices.tolist()]), self._dtype)

    def _bytes(self, index: int) -> bytes:
        if not 0 <= index < self._length:
            raise IndexError(f"no index {index} in an array of {self._length}")
        size = self._dtype.itemsize
        found = os.pread(self._file.descriptor, size, self._start + index * size)
        if len(found) != size:
            raise DataError(f"{self._file.path} has become shorter since it was opened: it must not be written to.")
        return found
