"""What a source hands over: one row per image, as NumPy columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, TypeVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

_Scalar = TypeVar("_Scalar", bound=np.generic)

NO_CAMERAS: Final = "no cameras"
"""The note of a data set whose images name no camera: then nothing is junk by the camera rule."""


class Split(IntEnum):
    """The part of a data set that an image belongs to."""

    TRAIN = 0
    QUERY = 1
    GALLERY = 2


@dataclass(frozen=True)
class Problem:
    """A file that cannot be used.

    Attributes:
        file: Path relative to the root.
        reason: What is wrong with it, to be read after the file's name.
    """

    file: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file} {self.reason}"


@dataclass(frozen=True, eq=False)
class ImageRecords:
    """The images of a data set, N rows: the training rows first, then query, then gallery.

    Rows of one sequence (or one folder) are neighbours, in frame order, so that windows are ranges of rows.

    Attributes:
        file: Paths relative to the root, with `/`: of the images, or of the tars that hold them. One per row; with
            `file_index`, the distinct paths.
        offset: First byte of the image in `file`, `(N,)` int64; -1 = the whole file is the image.
        size: Bytes of the image, `(N,)` int64.
        camera: `(N,)` int32; -1 = unknown.
        sequence: `(N,)` int32; -1 = unknown.
        frame: `(N,)` int64; -1 = unknown.
        split: A `Split` each, `(N,)` int8, ascending.
        pid: Identity as the data set numbers it, `(N,)` int32; -1 = junk or unknown, 0 = distractor.
        identities: The training identities, ascending, `(K,)` int64; the position is the class index.
        pid_names: The identities' names where they are no numbers: identity p is `pid_names[p - 1]`.
        notes: What a reader of the results must know about the set.
        problems: Files that were left out.
        file_index: Row's position in `file`, `(N,)` int32, where many rows share a file.
        unnamed_problems: Files that were left out besides those in `problems`, which are of bounded number.
    """

    file: Sequence[str]
    offset: NDArray[np.int64]
    size: NDArray[np.int64]
    camera: NDArray[np.int32]
    sequence: NDArray[np.int32]
    frame: NDArray[np.int64]
    split: NDArray[np.int8]
    pid: NDArray[np.int32]
    identities: NDArray[np.int64]
    pid_names: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    file_index: NDArray[np.int32] | None = None
    unnamed_problems: int = 0

    def __post_init__(self) -> None:
        for name, dtype in COLUMNS.items():
            object.__setattr__(self, name, _column(getattr(self, name), dtype, name))
        object.__setattr__(self, "identities", _column(self.identities, np.int64, "identities"))
        if self.file_index is not None:
            object.__setattr__(self, "file_index", _column(self.file_index, np.int32, "file_index"))
        rows = len(self)
        lengths = {name: len(getattr(self, name)) for name in COLUMNS} | {
            "file": len(self.file) if self.file_index is None else len(self.file_index)
        }
        if wrong := {name: length for name, length in lengths.items() if length != rows}:
            raise ValueError(f"all columns must have {rows} rows like pid, got {wrong}")
        self._check_values()

    def _check_values(self) -> None:
        if self.unnamed_problems < 0:
            raise ValueError(f"unnamed_problems must be at least 0, got {self.unnamed_problems}")
        if self.file_index is not None and len(self) and not _within(self.file_index, 0, len(self.file) - 1):
            raise ValueError("file_index must lie within file")
        if len(self) and not _within(self.split, min(Split), max(Split)):
            raise ValueError(f"split must be one of {[int(s) for s in Split]}")
        if np.any(self.split[1:] < self.split[:-1]):
            raise ValueError("rows must be in the order train, query, gallery")
        if np.any(self.identities[1:] <= self.identities[:-1]):
            raise ValueError("identities must be ascending and without repeats")
        if len(self) and int(self.pid.min()) < -1:
            raise ValueError("pid must be at least -1")
        train = self.pid[: np.searchsorted(self.split, np.int8(Split.TRAIN), "right")]
        named = {int(pid) for piece in pieces(train) for pid in np.unique(piece)} - {-1}
        if stray := sorted(named - set(self.identities.tolist())):
            raise ValueError(f"identities lacks the pid of training rows: {stray[:5]}")

    def __len__(self) -> int:
        """The number N of images."""
        return len(self.pid)

    @property
    def problem_count(self) -> int:
        """How many files were left out, named or not."""
        return len(self.problems) + self.unnamed_problems


COLUMNS: Final[dict[str, type[np.signedinteger]]] = {
    "offset": np.int64,
    "size": np.int64,
    "camera": np.int32,
    "sequence": np.int32,
    "frame": np.int64,
    "split": np.int8,
    "pid": np.int32,
}
"""The number columns of a manifest, in the order in which they are stored and hashed."""

_PIECE: Final = 1 << 20


def pieces(column: NDArray[_Scalar]) -> Iterator[NDArray[_Scalar]]:
    """A column in pieces of about a million rows, for work whose memory must not grow with the rows."""
    return (column[start : start + _PIECE] for start in range(0, len(column), _PIECE))


def _column(values: ArrayLike, dtype: DTypeLike, name: str) -> NDArray[np.signedinteger]:
    array = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"{name} must have one dimension, got shape {array.shape}")
    if array.size and array.dtype.kind not in "iu":
        raise TypeError(f"{name} must hold whole numbers, got {array.dtype}")
    limits = np.iinfo(np.dtype(dtype).name)
    if array.size and not _within(array, limits.min, limits.max):
        raise ValueError(f"{name} does not fit {limits.dtype}")
    result: NDArray[np.signedinteger] = np.ascontiguousarray(array, dtype=dtype)
    return result


def _within(values: NDArray[np.generic], low: int, high: int) -> bool:
    return int(values.min()) >= low and int(values.max()) <= high
