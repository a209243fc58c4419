"""The 512 bytes before each member of a tar, and the extended headers of PAX.

Formats: V7, POSIX ustar and PAX (IEEE Std 1003.1, pax interchange format), GNU tar's long names, sparse members and
binary numbers. Own code, because `tarfile` builds an object with every field for each of 29.6 million members.
"""

from __future__ import annotations

from typing import Final

BLOCK: Final = 512
"""Headers and data begin at multiples of it."""

ZEROS: Final = bytes(BLOCK)
"""The block that ends an archive."""

MAGIC: Final = b"ustar"
MAGIC_AT: Final = 257
"""Where the magic stands in a header, of POSIX and of GNU; V7 has none."""

_POSIX: Final = b"ustar\x00"
_CHECKSUM: Final = slice(148, 156)
_SIZE: Final = slice(124, 136)
_TYPE: Final = 156
_PREFIX: Final = slice(345, 500)


def parse_header(block: bytes) -> tuple[int, int, bytes]:
    """Reads type, size and name of a member.

    Args:
        block: 512 bytes.

    Returns:
        The type flag, the bytes of data that follow, and the name as it stands.

    Raises:
        ValueError: It is no header, or a damaged one; the text says why.
    """
    if len(block) != BLOCK:
        raise ValueError("is cut off")
    field = block[_CHECKSUM]
    given = _octal(field)
    # The checksum field itself counts as eight blanks.
    if sum(block) - sum(field) + 256 != given and _signed_sum(block) != given:
        raise ValueError("has a wrong checksum")
    name = block[:100].partition(b"\x00")[0]
    if block[MAGIC_AT : MAGIC_AT + 6] == _POSIX and block[345]:
        name = block[_PREFIX].partition(b"\x00")[0] + b"/" + name
    return block[_TYPE], _number(block[_SIZE]), name


def pax_records(data: bytes) -> dict[bytes, bytes]:
    """Reads the records `length key=value` of an extended header.

    Args:
        data: The extended header's data.

    Returns:
        The values by key; the last one counts.

    Raises:
        ValueError: It is not as described.
    """
    records: dict[bytes, bytes] = {}
    at = 0
    while at < len(data) and data[at]:
        blank = data.find(b" ", at, at + 20)
        digits = data[at:blank] if blank > 0 else b""
        if not digits.isdigit():
            raise ValueError("has an extended header that does not parse")
        stop = at + int(digits)
        key, equals, value = data[blank + 1 : stop - 1].partition(b"=")
        if stop > len(data) or stop <= blank + 1 or data[stop - 1] != 0x0A or not equals:
            raise ValueError("has an extended header that does not parse")
        records[key] = value
        at = stop
    return records


def decimal(text: bytes) -> int:
    """Reads a number of an extended header.

    Raises:
        ValueError: It is not made of at most 20 digits.
    """
    if not text.isdigit() or len(text) > 20:
        raise ValueError("has an extended header with a size that is no number")
    return int(text)


def _number(field: bytes) -> int:
    """Octal digits; with the first bit set, a big-endian number with sign, as GNU tar writes what octal cannot."""
    if field[0] & 0x80:
        value = int.from_bytes(field, "big") - (1 << (8 * len(field) - 1))
        if field[0] & 0x40:  # two's complement of the remaining bits
            raise ValueError("has a negative size")
        return value
    return _octal(field)


def _octal(field: bytes) -> int:
    digits = field.strip(b"\x00 ")
    if not digits:
        return 0
    if not digits.isdigit():
        raise ValueError("has a header that is no tar header")
    try:
        return int(digits, 8)
    except ValueError:
        raise ValueError("has a header that is no tar header") from None


def _signed_sum(block: bytes) -> int:
    """As the first tar of some Unix systems added, whose characters had a sign."""
    rest = block[:148] + block[156:]
    return sum(rest) - 256 * sum(byte > 127 for byte in rest) + 256
