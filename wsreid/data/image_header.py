"""The little that must be known of an image file before it is decoded: format, size, completeness.

Formats: JPEG (ITU-T T.81, annex B: markers), PNG (ISO/IEC 15948: signature, IHDR, IEND) and BMP (BITMAPINFOHEADER).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final, Literal

Format = Literal["JPEG", "PNG", "BMP"]

SNIFF_BYTES: Final = 8
"""Bytes from the start of a file that `sniff` needs."""

SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".bmp"})
"""File name endings of images, in lower case."""

_MAGIC: Final[tuple[tuple[bytes, Format], ...]] = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"BM", "BMP"),
)
_START_OF_SCAN: Final = 0xDA
_NO_FRAME: Final = frozenset({0xC4, 0xC8, 0xCC})  # DHT, JPG, DAC lie among the frame markers C0..CF
_STANDALONE: Final = frozenset({0x01, *range(0xD0, 0xD9)})  # TEM, RST0..7, SOI: no length follows


@dataclass(frozen=True)
class ImageHeader:
    """What an image file says of itself, in pixels."""

    format: Format
    height: int
    width: int


def sniff(head: bytes) -> Format | None:
    """The format that a file's first bytes announce.

    Args:
        head: At least the first `SNIFF_BYTES` bytes.

    Returns:
        The format; None if it is no image that can be read here.
    """
    return next((name for magic, name in _MAGIC if head.startswith(magic)), None)


def read_header(data: bytes) -> ImageHeader:
    """Reads the size of an image and checks that its end is there, without decoding it.

    A JPEG decoder fills a missing lower part with grey and reports success; that is why the end is looked for here.

    Args:
        data: The whole file.

    Returns:
        Format, height and width.

    Raises:
        ValueError: It is no image, or cut off; the text is to be read after the file's name.
    """
    kind = sniff(data)
    if kind is None:
        raise ValueError("is empty (0 bytes)" if not data else "is no JPEG, PNG or BMP image")
    try:
        if kind == "JPEG":
            height, width = _jpeg_size(data)
        elif kind == "PNG":
            width, height = _png_size(data)
        else:
            width, height = struct.unpack_from("<ii", data, 18)
            width, height = abs(width), abs(height)  # a negative height means rows from the top
            _require(len(data) >= struct.unpack_from("<I", data, 2)[0])
    except (struct.error, IndexError) as error:
        raise ValueError(f"is a {kind} that is cut off") from error
    if height < 1 or width < 1:
        raise ValueError(f"is a {kind} of {width} x {height} pixels")
    return ImageHeader(kind, height, width)


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """Height and width from the frame header; walks the segments, so thumbnails inside of them are passed over."""
    size: tuple[int, int] | None = None
    at = 2
    while True:
        _require(data[at] == 0xFF)
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        at += 2
        if marker in _STANDALONE:
            continue
        (length,) = struct.unpack_from(">H", data, at)
        _require(length >= 2)
        if 0xC0 <= marker <= 0xCF and marker not in _NO_FRAME:
            size = struct.unpack_from(">HH", data, at + 3)
        at += length
        if marker == _START_OF_SCAN:
            break
    _require(size is not None and data.rfind(b"\xff\xd9", at) >= 0)
    assert size is not None
    return size


def _png_size(data: bytes) -> tuple[int, int]:
    """Width and height from the first chunk; walks all, as a decoder makes room for what a chunk says it holds."""
    _require(data[12:16] == b"IHDR")
    at, kind = 8, b""
    while kind != b"IEND":
        (length,) = struct.unpack_from(">I", data, at)
        kind = data[at + 4 : at + 8]
        at += 12 + length
        _require(at <= len(data))
    width, height = struct.unpack_from(">II", data, 16)
    return width, height


def _require(condition: bool) -> None:
    if not condition:
        raise IndexError
