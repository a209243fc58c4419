"""Arrays in npy and npz files, found without being read."""

from __future__ import annotations

import math
import os
import struct
import tokenize
import zipfile
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import IO, Final

import numpy as np
import numpy.typing as npt

from wsreid.errors import FeatureError

AnyArray = np.ndarray[tuple[int, ...], np.dtype[np.generic]]
_LOCAL: Final = struct.Struct("<4s5H3I2H")  # a member's own header, as the zip format defines it
_ZIP64: Final = 0xFFFFFFFF
NO_HEADER: Final = (ValueError, tokenize.TokenError)
"""What NumPy raises for a damaged header; the latter where it takes it for one of Python 2."""


@dataclass(frozen=True)
class StoredArray:
    """Where an uncompressed array lies in a file.

    Attributes:
        path: The file.
        offset: Its first byte.
        shape: As NumPy has it.
        dtype: As NumPy has it.
        fortran: Whether the first axis is the fastest.
    """

    path: Path
    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    fortran: bool

    @property
    def nbytes(self) -> int:
        """Bytes of the numbers."""
        return math.prod(self.shape) * self.dtype.itemsize

    def mapped(self) -> AnyArray:
        """The array, mapped read-only into memory; nothing is read yet."""
        if self.nbytes == 0:
            return np.empty(self.shape, self.dtype)
        order = "F" if self.fortran else "C"
        return np.memmap(self.path, self.dtype, "r", self.offset, self.shape, order)  # type: ignore[call-overload,no-any-return]

    def rows(self, start: int, stop: int) -> AnyArray:
        """Reads rows `start` to `stop` of a C-ordered table without mapping the file, `(stop - start, D)`."""
        out = np.empty((stop - start, *self.shape[1:]), self.dtype)
        if out.size:
            with self.path.open("rb", buffering=0) as file:
                self._read(file, start, _bytes(out))
        return out

    def pick(self, index: npt.NDArray[np.int64], out: AnyArray, where: npt.NDArray[np.int64]) -> None:
        """Reads single rows of a C-ordered table without mapping the file.

        Args:
            index: The rows, `(n,)`.
            out: Where they go, `(m, D)`, C-ordered.
            where: Row of `out` for each, `(n,)`.
        """
        size, view = self._row_bytes, _bytes(out)
        with self.path.open("rb", buffering=0) as file:
            for row, to in zip(index.tolist(), where.tolist(), strict=True):
                self._read(file, row, view[to * size : (to + 1) * size])

    @property
    def _row_bytes(self) -> int:
        return math.prod(self.shape[1:]) * self.dtype.itemsize

    def _read(self, file: FileIO, row: int, view: memoryview) -> None:
        file.seek(self.offset + row * self._row_bytes)
        got = file.readinto(view)
        while got < len(view):  # a system call may return less than it was asked for
            more = file.readinto(view[got:])
            if not more:
                raise FeatureError(f"{self.path} became shorter while it was read. Leave it alone until the end.")
            got += more


def _bytes(array: AnyArray) -> memoryview:
    return memoryview(array.view(np.uint8).reshape(-1).data)  # (n, D) -> (n * D * itemsize,)


def npy_array(path: Path) -> StoredArray:
    """Finds the array of an npy file.

    Args:
        path: The file.

    Returns:
        The array.

    Raises:
        FeatureError: It is no npy file, is cut short, or holds Python objects.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        found = _header(file, path, str(path))
    if found.offset + found.nbytes > size:
        raise FeatureError(
            f"{path} is cut short: {size:,} bytes where shape {found.shape} of {found.dtype} needs "
            f"{found.offset + found.nbytes:,}. Copy or write it again."
        )
    return found


def npz_arrays(path: Path) -> dict[str, StoredArray | None]:
    """Finds the arrays of an npz file.

    Args:
        path: The file.

    Returns:
        Each array by name; None = compressed, so that `numpy.load` must read it.

    Raises:
        FeatureError: It is no npz file, is cut short, or holds Python objects.
    """
    size = path.stat().st_size
    try:
        with zipfile.ZipFile(path) as archive:
            members = [info for info in archive.infolist() if info.filename.endswith(".npy")]
    except (zipfile.BadZipFile, NotImplementedError) as error:  # the latter: a kind of zip that numpy never writes
        raise FeatureError(_damage(path, size)) from error
    found: dict[str, StoredArray | None] = {}
    with path.open("rb") as file:
        for info in members:
            name = info.filename.removesuffix(".npy")
            if info.compress_type != zipfile.ZIP_STORED:
                found[name] = None
                continue
            _, *_, name_bytes, extra_bytes = _local_header(file, info.header_offset, path)
            start = info.header_offset + _LOCAL.size + name_bytes + extra_bytes
            file.seek(start)
            array = _header(file, path, f"{path}: {name}")
            if array.offset + array.nbytes > start + info.file_size or start + info.file_size > size:
                raise FeatureError(
                    f"{path}: {name} is cut short: {info.file_size:,} bytes, and shape {array.shape} of {array.dtype} "
                    f"needs {array.offset - start + array.nbytes:,}. Copy or write the file again."
                )
            found[name] = array
    return found


def _header(file: IO[bytes], path: Path, where: str) -> StoredArray:
    try:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(file)
        if min(shape, default=0) < 0:
            raise ValueError(f"shape {shape}")
    except (*NO_HEADER, EOFError, OSError) as error:
        raise FeatureError(f"{where} does not begin like an npy array ({error}). Write it with numpy.save.") from error
    if dtype.hasobject:
        raise FeatureError(
            f"{where} is an array of Python objects, which is never unpickled. Rows of unequal length make such an "
            "array: stack them into one (N, D) array of numbers."
        )
    return StoredArray(path, file.tell(), tuple(int(n) for n in shape), dtype, bool(fortran))


def _local_header(file: IO[bytes], offset: int, path: Path) -> tuple[int, int, int]:
    """The stored size of a zip member, -1 = not said, and the lengths of its name and extra field."""
    file.seek(offset)
    raw = file.read(_LOCAL.size)
    if len(raw) < _LOCAL.size or raw[:4] != b"PK\x03\x04":
        raise FeatureError(f"{path} is a damaged npz file: no array begins at byte {offset:,}. Copy or write it again.")
    *_, stored, _, name_bytes, extra_bytes = _LOCAL.unpack(raw)
    if stored == _ZIP64:
        file.seek(name_bytes, os.SEEK_CUR)
        extra = file.read(extra_bytes)
        # id, length, size, stored size: zipfile writes the zip64 field first
        stored = struct.unpack_from("<Q", extra, 12)[0] if len(extra) >= 20 and extra[:2] == b"\x01\x00" else -1
    return stored, name_bytes, extra_bytes


def _damage(path: Path, size: int) -> str:
    """What is wrong with a file without a zip directory: walks its members until one leaves the file."""
    need = 0
    with path.open("rb") as file:
        if file.read(4) != b"PK\x03\x04":
            return f"{path} is no npz file ({size:,} bytes). Write it with numpy.savez."
        try:
            while need + _LOCAL.size <= size:
                stored, name_bytes, extra_bytes = _local_header(file, need, path)
                if stored < 0:
                    break
                need += _LOCAL.size + name_bytes + extra_bytes + stored
        except FeatureError:
            pass  # the walk has come to where the directory should be
    return f"{path} is cut short: {size:,} bytes, more than {max(need, size):,} were written. Copy or write it again."
