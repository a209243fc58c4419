"""What was left out of a tar: counted by kind, with a bounded number of examples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

EXAMPLES: Final = 100
"""Names kept of each kind, whatever the number of members."""

_NAME_LENGTH: Final = 200


class Kind(Enum):
    """Why a member, or a part of an archive, is left out; the value is to be read after its name."""

    ABSOLUTE = "has an absolute name"
    PARENT = "has a name with '..'"
    NAME = "has a name that is empty or holds a zero byte"
    ENCODING = "has a name that is not UTF-8"
    LINK = "is a link: links are not followed"
    DEVICE = "is a device or a pipe"
    SPARSE = "is a sparse file, whose bytes do not lie in one piece"
    OTHER = "is neither a file nor a folder"
    DAMAGED = "has a damaged header"
    SUFFIX = "is no image by its name"
    EMPTY = "is empty (0 bytes)"
    CONTENT = "is no JPEG, PNG or BMP image: its first bytes are those of something else"
    PLACE = "lies in no folder of the data set"
    TEST_NAME = "has a name that does not parse: expected one like 000028311_c2_2.jpg, in its identity's folder or none"
    TRUNCATED = "is cut off by the end of the tar"
    NO_END = "has no end mark: the tar is cut off, as by a download that broke off"
    AFTER_END = "has bytes after its end mark, which are not read"
    DUPLICATE = "comes again later, and the later one counts"
    HIDDEN = "is hidden or left behind by an operating system"

    @property
    def harmless(self) -> bool:
        """Whether it says nothing against the images that are there: then it is a note, and no problem."""
        return self in _HARMLESS


_HARMLESS: Final = frozenset({Kind.TRUNCATED, Kind.NO_END, Kind.AFTER_END, Kind.DUPLICATE, Kind.HIDDEN})


@dataclass
class Findings:
    """Counts by kind, and the first names of each.

    Attributes:
        counts: Members of each kind.
        examples: Their first `EXAMPLES` names, fit for the screen.
    """

    counts: dict[Kind, int] = field(default_factory=dict)
    examples: dict[Kind, list[str]] = field(default_factory=dict)

    def add(self, kind: Kind, name: bytes | str, count: int = 1) -> None:
        """Counts a member, or several of which one is named."""
        self.counts[kind] = self.counts.get(kind, 0) + count
        names = self.examples.setdefault(kind, [])
        if len(names) < EXAMPLES:
            names.append(shown(name))

    def merge(self, other: Findings) -> None:
        """Adds what another one counted."""
        for kind, count in other.counts.items():
            self.counts[kind] = self.counts.get(kind, 0) + count
            names = self.examples.setdefault(kind, [])
            names += other.examples[kind][: EXAMPLES - len(names)]

    def to_json(self) -> dict[str, dict[str, object]]:
        """As it is stored."""
        return {kind.name: {"count": count, "examples": self.examples[kind]} for kind, count in self.counts.items()}

    @staticmethod
    def from_json(stored: Mapping[str, Mapping[str, object]]) -> Findings:
        """Reads what `to_json` wrote.

        Raises:
            ValueError, KeyError, TypeError: It is not that.
        """
        findings = Findings()
        for name, entry in stored.items():
            count, examples = entry["count"], entry["examples"]
            if not isinstance(count, int) or not isinstance(examples, list):
                raise TypeError("findings must be counts and lists of names")
            findings.counts[Kind[name]] = count
            findings.examples[Kind[name]] = [str(example) for example in examples]
        return findings

    def lines(self, kinds: Iterable[Kind] = Kind) -> list[str]:
        """One line a kind, with its count and its first name."""
        return [
            f"{self.counts[kind]:,} x {kind.value} (first: {self.examples[kind][0]})"
            for kind in kinds
            if kind in self.counts
        ]


def shown(name: bytes | str) -> str:
    """A name from outside, made fit for a message: escaped where it does not print, and of bounded length."""
    text = name.decode("utf-8", "backslashreplace") if isinstance(name, bytes) else name
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[:_NAME_LENGTH])
    return text if len(text) <= _NAME_LENGTH else f"{text[:_NAME_LENGTH]}..."
