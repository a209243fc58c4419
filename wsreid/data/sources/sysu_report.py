"""What is to be said of a SYSU-30k root besides its images: problems and notes, of bounded number."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from wsreid.data.protocols.sysu_labels import read_bag_labels
from wsreid.data.records import Problem
from wsreid.data.tars.findings import Findings, Kind
from wsreid.errors import DataError

_MOST: Final = 1000
_NUMBERS: Final = 5


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

    @property
    def problem_count(self) -> int:
        """How many files are left out, named among the problems or not."""
        inside = (count for found in self.findings for kind, count in found.counts.items() if not kind.harmless)
        return len(self._problems) + self._more + sum(inside)


def bag_labels_note(path: Path, published: int | None, folders: Iterable[int] | None = None) -> str | None:
    """What is to be said of bag_level_label.json; None if it is whole, and as published.

    Args:
        path: The file.
        published: Bags of the whole set; None = not known.
        folders: Numbers of the training folders that have images; None = not looked at.

    Returns:
        That it is broken, how its number of bags differs from the published one, and which folders its bags name that
        are not there.
    """
    here = None if folders is None else set(folders)
    bags = partial = 0
    absent: set[int] = set()
    try:
        for bag in read_bag_labels(path):
            bags += 1
            if here is not None and (lacking := bag.absent(here)):
                partial += 1
                absent.update(lacking)
    except DataError as error:
        return str(error)
    said = [] if published in (None, bags) else [f"{bags:,} bags, published are {published:,}"]
    if absent:
        numbers = [*map(str, sorted(absent)[:_NUMBERS]), *(["..."] if len(absent) > _NUMBERS else [])]
        said.append(
            f"{partial:,} of {bags:,} bags name {len(absent):,} training folders that are not here: "
            f"{', '.join(numbers)}"
        )
    return f"{path.name}: {'; '.join(said)}" if said else None
