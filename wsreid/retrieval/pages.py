"""Gives the memory of mapped files back once it has been read."""

from __future__ import annotations

import mmap

import numpy as np

Anything = np.ndarray[tuple[int, ...], np.dtype[np.generic]]


def is_mapped(array: Anything) -> bool:
    """Whether the array lies in a file that is mapped, and whose pages can be read again at any time."""
    return _mapping(array) is not None


def release(array: Anything) -> None:
    """Drops the resident pages of a mapped array: a file of any size is read through in little memory.

    The content stays: the next access reads it again. Arrays that are not mapped from a file are left alone.

    Args:
        array: A mapped array or a slice of one.
    """
    mapping = _mapping(array)
    if mapping is None or array.size == 0 or not hasattr(mapping, "madvise"):  # Windows has no madvise
        return
    first, last = np.lib.array_utils.byte_bounds(array)
    begin = np.frombuffer(mapping, dtype=np.uint8).ctypes.data
    start = (first - begin) // mmap.PAGESIZE * mmap.PAGESIZE
    mapping.madvise(mmap.MADV_DONTNEED, start, last - begin - start)


def _mapping(array: Anything) -> mmap.mmap | None:
    shared = False
    base: object = array
    while isinstance(base, np.ndarray):
        # a copy-on-write map holds changes that exist nowhere else
        shared = shared or (isinstance(base, np.memmap) and base.mode in ("r", "r+"))
        base = base.base
    return base if shared and isinstance(base, mmap.mmap) else None
