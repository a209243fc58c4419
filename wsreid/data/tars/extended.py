"""What GNU tar's and PAX's extra headers say of the member that follows them."""

from __future__ import annotations

from typing import Final

from wsreid.data.tars.headers import decimal, pax_records

LONG_NAME: Final = ord("L")
GLOBAL: Final = ord("g")
KINDS: Final = frozenset((LONG_NAME, GLOBAL, *b"xX"))
"""The type flags of such headers."""

MOST: Final = 1 << 20
"""Bytes of such a header that are read; a longer one is no header that a tar program writes."""

_SPARSE: Final = b"GNU.sparse."


class Extended:
    """Collects the extra headers before a member. The global ones stay in force for all later members."""

    def __init__(self) -> None:
        self._next: dict[bytes, bytes] = {}
        self._always: dict[bytes, bytes] = {}

    def __bool__(self) -> bool:
        """Whether anything is said of the next member."""
        return bool(self._next or self._always)

    def add(self, kind: int, data: bytes) -> None:
        """Takes a header.

        Args:
            kind: Its type flag.
            data: Its data.

        Raises:
            ValueError: It does not parse.
        """
        if kind == LONG_NAME:
            self._next[b"path"] = data.partition(b"\x00")[0]
            return
        records = pax_records(data)
        kept = {key: value for key, value in records.items() if key in (b"path", b"size")}
        if any(key.startswith(_SPARSE) for key in records):
            kept[_SPARSE] = b""
        (self._always if kind == GLOBAL else self._next).update(kept)

    def take(self, name: bytes, size: int, sparse: bool) -> tuple[bytes, int, bool]:
        """Name, size, and whether it is sparse, of the member that follows; then forgets all but the global headers.

        Args:
            name: As the member's own header has it.
            size: The same.
            sparse: The same.

        Raises:
            ValueError: The size given is no number.
        """
        said = {**self._always, **self._next}
        self.forget()
        if b"size" in said:
            size = decimal(said[b"size"])
        return said.get(b"path", name), size, sparse or _SPARSE in said

    def forget(self) -> None:
        """Drops what was said of the next member alone."""
        self._next = {}
