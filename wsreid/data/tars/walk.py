"""Walking through a tar from header to header."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

from wsreid.data.tars.extended import KINDS, MOST, Extended
from wsreid.data.tars.findings import Findings, Kind
from wsreid.data.tars.headers import BLOCK, MAGIC, MAGIC_AT, ZEROS, parse_header

Member: TypeAlias = tuple[bytes, int, int, bytes]
"""A plain file: its name as it stands, offset and size of its data, and the first bytes of its data."""

WINDOW: Final = 1 << 20
"""Bytes read at once: small members come by the hundred, and of large ones only the start is read."""

HEAD: Final = 8
"""First bytes of each member that are handed over."""

_SLACK: Final = 1 << 20
_SPARSE: Final = ord("S")
_FILES: Final = frozenset(b"\x0007S")
_FOLDER: Final = ord("5")
_LONG_LINK: Final = ord("K")
_WITHOUT_DATA: Final = {**dict.fromkeys(b"12", Kind.LINK), **dict.fromkeys(b"346", Kind.DEVICE), _FOLDER: None}


class NotATar(ValueError):  # noqa: N818 - named for what the user sees
    """A file that does not begin with the header of a member."""


def regular_members(
    descriptor: int, end: int, findings: Findings, passed: Callable[[int], None] = lambda _: None
) -> Iterator[Member]:
    """Yields the plain files of a tar, in its order, and counts what else is there.

    Nothing is followed, written or unpacked. After a damaged header, reading goes on at the next sound one.

    Args:
        descriptor: The tar, open for reading; its position is not used.
        end: Its size in bytes.
        findings: Takes what is left out.
        passed: Called now and then with the bytes walked through so far.

    Yields:
        The files; of the data, at most `HEAD` bytes.

    Raises:
        NotATar: The first block is no header.
        OSError: The file cannot be read.
    """
    at, start, window = 0, 0, b""
    extended = Extended()
    while True:
        i = at - start
        if i + BLOCK + HEAD > len(window) and start + len(window) < end:
            window, start, i = os.pread(descriptor, WINDOW, at), at, 0
            passed(at)
        block = window[i : i + BLOCK]
        if block == ZEROS:
            _check_end(descriptor, at, end, findings)
            return
        if at and len(block) < BLOCK:
            findings.add(Kind.NO_END, f"byte {at}")
            return
        try:
            kind, size, name = parse_header(block)
            sparse = kind == _SPARSE
            if extended and kind not in KINDS and kind != _LONG_LINK:
                name, size, sparse = extended.take(name, size, sparse)
        except ValueError as error:
            if not at:
                raise NotATar(_what_it_is(block)) from error
            findings.add(Kind.DAMAGED, f"byte {at}")
            extended.forget()
            at = _next_header(descriptor, at + BLOCK, end, passed)
            continue
        data = at + BLOCK
        if kind in _WITHOUT_DATA:
            left_out = _WITHOUT_DATA[kind]
            if left_out is not None:
                findings.add(left_out, name)
            at = data
            continue
        if kind == _SPARSE:
            data = _after_sparse_map(descriptor, block, data, end)
        if data + size > end:
            findings.add(Kind.TRUNCATED, name)
            return
        at = data + (size + BLOCK - 1) // BLOCK * BLOCK
        if sparse:
            findings.add(Kind.SPARSE, name)
        elif kind in _FILES:
            if name[-1:] != b"/":  # V7 marks a folder by its name
                yield name, data, size, window[i + BLOCK : i + BLOCK + min(HEAD, size)]
        elif kind in KINDS:
            _extend(extended, kind, name, os.pread(descriptor, min(size, MOST + 1), data), findings)
        elif kind != _LONG_LINK:
            findings.add(Kind.OTHER, name)


def _extend(extended: Extended, kind: int, name: bytes, text: bytes, findings: Findings) -> None:
    try:
        if len(text) > MOST:
            raise ValueError("is too long")
        extended.add(kind, text)
    except ValueError:
        findings.add(Kind.DAMAGED, name)


def _after_sparse_map(descriptor: int, block: bytes, data: int, end: int) -> int:
    """Where the data of GNU tar's old sparse members begin: after the blocks that continue the header's map."""
    more = block[482]
    while more and data < end:
        continued = os.pread(descriptor, BLOCK, data)
        more = continued[504] if len(continued) == BLOCK else 0
        data += BLOCK
    return data


def _check_end(descriptor: int, at: int, end: int, findings: Findings) -> None:
    """Counts what follows the end mark, beyond the zeros that fill up the last record."""
    rest = end - at
    if rest > _SLACK or os.pread(descriptor, _SLACK, at).strip(b"\x00"):
        findings.add(Kind.AFTER_END, f"{rest} bytes from byte {at}")


def _next_header(descriptor: int, at: int, end: int, passed: Callable[[int], None]) -> int:
    """The next block that is a header by its magic and its checksum; the end of the file if there is none."""
    while at < end:
        window = os.pread(descriptor, WINDOW, at)
        passed(at)
        if not window:
            break
        found = window.find(MAGIC)
        while found >= 0:
            begin = found - MAGIC_AT
            if begin >= 0 and begin % BLOCK == 0 and _is_header(window[begin : begin + BLOCK]):
                return at + begin
            found = window.find(MAGIC, found + 1)
        at += len(window)
    return end


def _is_header(block: bytes) -> bool:
    try:
        parse_header(block)
    except ValueError:
        return False
    return True


def _what_it_is(block: bytes) -> str:
    if not block:
        return "is empty (0 bytes): fetch it again"
    if block.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")):
        return "is compressed: decompress it into a plain tar, whose images can be read in place"
    if block.lstrip()[:1] == b"<":
        return "is a web page and no tar: fetch the tar again"
    return "is no tar: it does not begin with a tar header. Fetch it again"
