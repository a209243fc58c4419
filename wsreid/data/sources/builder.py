"""Gathering images into the columns of `ImageRecords`."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wsreid.data.records import NO_CAMERAS, ImageRecords, Problem, Split
from wsreid.errors import DataError


class ImageEntry(NamedTuple):
    """One image; entries sort by split, then as windows need them: camera, sequence, frame, name."""

    split: Split
    camera: int
    sequence: int
    frame: int
    file: str
    pid: int
    size: int


class RecordsBuilder:
    """Collects entries split by split; numbers take 8 bytes each, so that millions of them fit."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._file: list[str] = []
        self._numbers = {name: array("q") for name in ("size", "camera", "sequence", "frame", "split", "pid")}
        self._problems: list[Problem] = []
        self._notes: list[str] = []

    def add(self, entries: Iterable[ImageEntry]) -> None:
        """Appends images; splits in ascending order."""
        for entry in entries:
            self._file.append(entry.file)
            for name, column in self._numbers.items():
                column.append(getattr(entry, name))

    def problem(self, file: str, reason: str) -> None:
        """Notes a file that is left out."""
        self._problems.append(Problem(file, reason))

    def problems(self, problems: Iterable[Problem]) -> None:
        """Notes files that are left out."""
        self._problems.extend(problems)

    def note(self, text: str) -> None:
        """Notes what a reader of the results must know."""
        self._notes.append(text)

    def require_images(self, split: Split, root: Path, folder: str) -> None:
        """Raises DataError if a split has no image.

        Args:
            split: The split.
            root: The data set's folder.
            folder: The split's folder, relative to the root; the first file refused there is named.
        """
        if split in self._numbers["split"]:
            return
        here = [problem for problem in self._problems if folder in ("", ".") or problem.file.startswith(f"{folder}/")]
        why = f"{len(here)} files there were refused, first: {here[0]}." if here else "It holds no image file."
        raise DataError(f"{self._source}: no {split.name.lower()} image in {root / folder}. {why}")

    def records(
        self, identities: Iterable[int] | None = None, pid_names: tuple[str, ...] | None = None
    ) -> ImageRecords:
        """The columns.

        Args:
            identities: Training identities; None = those of the training rows.
            pid_names: The identities' names where they are no numbers.
        """
        numbers: dict[str, NDArray[np.int64]] = {
            name: np.frombuffer(column, np.int64) if len(column) else np.empty(0, np.int64)
            for name, column in self._numbers.items()
        }
        pid, train = numbers["pid"], numbers["split"] == Split.TRAIN
        classes = np.unique(pid[train & (pid >= 0)] if identities is None else np.array(list(identities), np.int64))
        shared = np.intersect1d(classes, pid[numbers["split"] == Split.QUERY])
        if len(shared):
            self.note(f"{len(shared)} query identities are also training identities")
        if (numbers["camera"] < 0).all():
            self.note(NO_CAMERAS)
        return ImageRecords(
            file=self._file,
            offset=np.full(len(self._file), -1, np.int64),
            size=numbers["size"],
            camera=numbers["camera"].astype(np.int32),
            sequence=numbers["sequence"].astype(np.int32),
            frame=numbers["frame"],
            split=numbers["split"].astype(np.int8),
            pid=pid.astype(np.int32),
            identities=classes,
            pid_names=pid_names,
            notes=tuple(self._notes),
            problems=tuple(self._problems),
        )
