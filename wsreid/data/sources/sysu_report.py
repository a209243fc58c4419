"""What is to be said of a SYSU-30k root besides its images: problems and notes, of bounded number."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from wsreid.data.records import Problem
from wsreid.data.tars.findings import Findings, Kind

_MOST: Final = 1000


class Report:
    """Collects problems and notes.

    Attributes:
        tars: The tars' paths relative to the root.
        findings: What was left out of each of them.
    """

    def __init__(self, tars: Iterable[str]) -> None:
        self.tars = tuple(tars)
        self.findings = [Findings() for _ in self.tars]
        self._problems: list[Problem] = []
        self._more = 0
        self._notes: list[str] = []

    def note(self, text: str) -> None:
        """Notes what a reader of the results must know."""
        self._notes.append(text)

    def problem(self, file: str, reason: str) -> None:
        """Notes a file that is left out; after a thousand of them only their number is kept."""
        if len(self._problems) < _MOST:
            self._problems.append(Problem(file, reason))
        else:
            self._more += 1

    @property
    def notes(self) -> tuple[str, ...]:
        """The notes, and a line for each kind of thing left out of each tar."""
        lines = [
            f"{tar}: {line}" for tar, found in zip(self.tars, self.findings, strict=True) for line in found.lines()
        ]
        more = [f"{self._more} more unpacked files cannot be used"] if self._more else []
        return (*self._notes, *lines, *more)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The files left out; of each tar and kind, the first ones."""
        inside = (
            Problem(f"{tar}: {name}", kind.value)
            for tar, found in zip(self.tars, self.findings, strict=True)
            for kind in Kind
            if not kind.harmless
            for name in found.examples.get(kind, ())
        )
        return (*self._problems, *inside)


def bag_labels_note(path: Path, published: int | None) -> str | None:
    """How the number of bags in bag_level_label.json differs from the published one; None if it does not.

    Args:
        path: The file.
        published: Bags of the whole set.
    """
    found = path.read_bytes().count(b'"BagID"')
    return None if found == published else f"{path.name}: {found:,} bags, published are {published:,}"
