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

    Raises:
        DataError: The array is not in the file.
    """

    def __init__(self, file: MappedFile, array: NDArray[_Number]) -> None:
        self._file = file
        self._start = _place(file, array.ctypes.data, array.nbytes)
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
        return _read(self._file, self._start + index * size, size)


class Names:
    """Reads single strings of an array over a mapped file, as `Lookup` reads numbers.

    Where a string lies is checked first: in a damaged file it may be anywhere, and pyarrow would read there.

    Args:
        file: The file.
        names: An array over `file.buffer`, `(N,)`.

    Raises:
        DataError: The array is not in the file.
    """

    def __init__(self, file: MappedFile, names: pa.LargeStringArray) -> None:
        _, offsets, text = names.buffers()
        self._file = file
        self._length = len(names)
        ends = (
            np.frombuffer(offsets, np.int64, len(names) + 1, 8 * names.offset) if len(names) else np.zeros(0, np.int64)
        )
        self._ends = Lookup(file, ends)
        self._size = 0 if text is None else text.size
        self._start = _place(file, text.address, text.size) if text is not None else 0

    def __len__(self) -> int:
        """The number N of strings."""
        return self._length

    def __getitem__(self, index: int) -> str:
        """The string at an index in `0..N-1`.

        Raises:
            IndexError: There is none.
            DataError: The file is damaged, or has become shorter.
        """
        start, end = self._ends[index], self._ends[index + 1]
        if not 0 <= start <= end <= self._size:
            raise DataError(f"{self._file.path} is damaged: the text {index} is said to lie outside of it.")
        try:
            return _read(self._file, self._start + start, end - start).decode()
        except UnicodeDecodeError as error:
            raise DataError(f"{self._file.path} is damaged: the text {index} is no UTF-8.") from error


def _place(file: MappedFile, address: int, size: int) -> int:
    place: int = address - file.buffer.address
    if size and not 0 <= place <= file.buffer.size - size:
        raise DataError(f"{file.path} does not hold its arrays as they are; is it compressed?")
    return place


def _read(file: MappedFile, place: int, size: int) -> bytes:
    found = os.pread(file.descriptor, size, place) if size else b""
    if len(found) != size:
        raise DataError(f"{file.path} has become shorter since it was opened: it must not be written to.")
    return found
