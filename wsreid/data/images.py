"""Reading one image, from a file or from a range of bytes inside a tar."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from wsreid.data.image_header import read_header
from wsreid.data.tars.ranges import IsNoFileError, read_range
from wsreid.errors import DataError

MAX_PIXELS: Final = 50_000_000
"""Larger images are refused before they are decoded: a few bytes can announce gigabytes."""


MAX_BYTES: Final = 1 << 28
"""Larger files are refused before they are read; an uncompressed image of `MAX_PIXELS` pixels is smaller."""


class UnreadableImage(DataError):  # noqa: N818 - named for what the user sees
    """An image that is missing, damaged, too large, or none at all."""


@dataclass(frozen=True)
class ImageLocation:
    """Where the bytes of an image are.

    Attributes:
        path: The image file, or the tar that holds it.
        offset: First byte of the image in `path`; -1 = the whole file.
        size: Bytes of the image; not used where the image is the whole file.
    """

    path: Path
    offset: int = -1
    size: int = -1

    def __str__(self) -> str:
        return str(self.path) if self.offset < 0 else f"{self.path} (bytes {self.offset} to {self.offset + self.size})"


def read_image(location: ImageLocation, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Reads and decodes an image.

    Grey images get three equal channels, transparency is dropped, 16 bits become 8, and a rotation that a JPEG's
    EXIF data asks for is carried out. Safe in threads and in forked and spawned workers: an image file is opened and
    closed by each call, a tar stays open for the process that reads it (`wsreid.data.tars.ranges`).

    Args:
        location: Where its bytes are.
        max_pixels: Height times width above which an image is refused.

    Returns:
        RGB, `(H, W, 3)` uint8.

    Raises:
        UnreadableImage: Names the file and says what is wrong with it.
    """
    data = _read_bytes(location)
    try:
        header = read_header(data)
    except ValueError as error:
        raise _unreadable(location, str(error)) from error
    if header.height * header.width > max_pixels:
        raise _unreadable(location, f"has {header.width} x {header.height} pixels, more than max_pixels={max_pixels}")
    try:
        bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise _unreadable(location, f"cannot be decoded ({error.err})") from error
    if bgr is None:
        raise _unreadable(location, f"is a damaged {header.format}: it cannot be decoded")
    rgb: NDArray[np.uint8] = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)
    return rgb


def _read_bytes(location: ImageLocation) -> bytes:
    try:
        if location.offset < 0:
            return _read_file(location)
        _check_size(location, location.size)
        data = read_range(location.path, location.offset, location.size)
    except IsNoFileError as error:
        raise _unreadable(location, "is no regular file") from error
    except OSError as error:
        raise _unreadable(location, f"cannot be read: {error.strerror or error}") from error
    except (ValueError, OverflowError, MemoryError) as error:
        raise _unreadable(location, "is no range of bytes that can be read") from error
    if len(data) != location.size:
        raise _unreadable(location, f"ends after {len(data)} of {location.size} bytes")
    return data


def _read_file(location: ImageLocation) -> bytes:
    # Opening a pipe would wait for its writer forever, so the kind of file is asked first.
    state = location.path.stat()
    if not stat.S_ISREG(state.st_mode):
        raise IsNoFileError
    _check_size(location, state.st_size)
    with location.path.open("rb", buffering=0) as file:
        return file.read()


def _check_size(location: ImageLocation, size: int) -> None:
    if size > MAX_BYTES:
        raise _unreadable(location, f"has {size} bytes, more than the {MAX_BYTES} that an image may have")


def _unreadable(location: ImageLocation, reason: str) -> UnreadableImage:
    return UnreadableImage(f"{location} {reason}. Replace or remove it, or raise data.max_corrupt to skip such images.")
