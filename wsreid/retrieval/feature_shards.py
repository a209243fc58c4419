"""Features in many files, read as one table."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from wsreid.errors import FeatureError
from wsreid.retrieval.feature_columns import NUMBERS, check_table, whole_numbers
from wsreid.retrieval.junk import Ints
from wsreid.retrieval.shard_index import ShardIndex
from wsreid.retrieval.stored_array import AnyArray, StoredArray, npz_arrays

_log = logging.getLogger(__name__)
REMEDY: Final = "Remove that file and run the same predict command again: it computes the shard anew."


@dataclass(frozen=True, eq=False)
class Shard:
    """One file of features.

    Attributes:
        features: Where the `(n, D)` features lie.
        pid: Identities, `(n,)`.
        camera: Cameras, `(n,)`.
        row: The data set's rows, `(n,)`.
    """

    features: StoredArray
    pid: Ints
    camera: Ints
    row: Ints

    @classmethod
    def open(cls, path: Path) -> Shard:
        """Reads all but the features.

        Args:
            path: An uncompressed npz file with features, pid, camera and row.

        Returns:
            The shard.

        Raises:
            FeatureError: It is damaged, or no shard.
        """
        try:
            stored = npz_arrays(path)
            features, *rest = (stored.get(name) for name in ("features", *NUMBERS))
            if features is None or features.fortran or any(array is None for array in rest):
                raise FeatureError(f"{path} is no shard: features, pid, camera and row must be there, uncompressed.")
            check_table(features.shape, features.dtype, str(path))
            columns = {
                name: whole_numbers(np.array(array.mapped()), name, features.shape[0], str(path))
                for name, array in zip(NUMBERS, rest, strict=True)
                if array is not None
            }
        except FeatureError as error:
            raise FeatureError(f"{error} {REMEDY}") from error
        return cls(features, columns["pid"], columns["camera"], columns["row"])


class FeatureShards:
    """The features of many shards as one table that is read in slices, ordered by the data set's rows.

    Nothing is kept in memory, and no file is kept open. Where two shards hold a row, the first has it: processes that
    predict side by side repeat a few rows so that all do the same number of steps.

    Args:
        shards: The shards.

    Attributes:
        shape: `(N, D)`.
        dtype: Type of the stored numbers.
        pid: Identities, `(N,)` int64.
        camera: Cameras, `(N,)` int64.
        row: The data set's rows, `(N,)` int64, ascending.
    """

    def __init__(self, shards: Sequence[Shard]) -> None:
        row = np.concatenate([shard.row for shard in shards])  # (M,) with repetitions
        lengths = [len(shard.row) for shard in shards]
        self.row, first = np.unique(row, return_index=True)  # (N,) and where each stands in row
        self.pid: Ints = np.concatenate([shard.pid for shard in shards])[first]
        self.camera: Ints = np.concatenate([shard.camera for shard in shards])[first]
        self._stored = [shard.features for shard in shards]
        self.shape = (len(first), int(self._stored[0].shape[1]))
        self.dtype = self._stored[0].dtype
        # a piece is a run of the table that is a run of one shard too
        owner = np.repeat(np.arange(len(shards)), lengths)[first]
        self._start = np.flatnonzero(np.r_[True, (np.diff(first) != 1) | (np.diff(owner) != 0)])  # (P,)
        self._owner = owner[self._start]
        self._at = (first - np.repeat(np.cumsum([0, *lengths[:-1]]), lengths)[first])[self._start]

    def __len__(self) -> int:
        """The number N of features."""
        return self.shape[0]

    @property
    def ndim(self) -> int:
        """2."""
        return len(self.shape)

    def slice(self, start: int, stop: int) -> AnyArray:
        """Reads rows `start` to `stop`.

        Args:
            start: The first.
            stop: The one behind the last.

        Returns:
            `(stop - start, D)` in the stored type.
        """
        start, stop = max(0, start), min(stop, len(self))
        out = np.empty((max(0, stop - start), self.shape[1]), self.dtype)
        piece = int(np.searchsorted(self._start, start, side="right")) - 1
        done = start
        while done < stop:
            end = int(self._start[piece + 1]) if piece + 1 < len(self._start) else len(self)
            end = min(end, stop)
            at = int(self._at[piece]) + done - int(self._start[piece])
            out[done - start : end - start] = self._stored[int(self._owner[piece])].rows(at, at + end - done)
            done, piece = end, piece + 1
        return out

    def pick(self, index: npt.NDArray[np.int64]) -> AnyArray:
        """Reads single rows.

        Args:
            index: Their numbers, `(n,)`, in any order.

        Returns:
            `(n, D)` in the stored type.
        """
        if len(index) and not 0 <= int(index.min()) <= int(index.max()) < len(self):
            raise IndexError(f"rows {int(index.min())} to {int(index.max())} of {len(self)}")
        piece = np.searchsorted(self._start, index, side="right") - 1  # (n,)
        owner = self._owner[piece]
        at = index - self._start[piece] + self._at[piece]
        out = np.empty((len(index), self.shape[1]), self.dtype)
        order = np.lexsort((at, owner))
        for where in np.split(order, np.flatnonzero(np.diff(owner[order])) + 1) if len(order) else ():
            self._stored[int(owner[where[0]])].pick(at[where], out, where)
        return out

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> AnyArray:
        """All of it, in memory."""
        if copy is False:
            raise ValueError("the features lie in files: an array of them is a copy")
        return self.slice(0, len(self)).astype(dtype or self.dtype, copy=False)


def shard_files(folder: Path) -> list[Path]:
    """The shards in a folder, by name."""
    return sorted(folder.glob("shard-*.npz"))


def read_shards(folder: Path) -> tuple[FeatureShards, Mapping[str, AnyArray], tuple[Path, ...]]:
    """Opens a folder that `predict` has finished.

    Args:
        folder: The folder with `index.json` and the shards.

    Returns:
        The features, pid, camera and row by name, and the files.

    Raises:
        FeatureError: It is no such folder, the prediction was interrupted before it had all images, or a shard is
            damaged or gone.
    """
    index = ShardIndex.read(folder)
    files = shard_files(folder)
    shards = [Shard.open(path) for path in files]
    widths = {(shard.features.shape[1], str(shard.features.dtype)) for shard in shards}
    if len(widths) > 1:
        raise FeatureError(f"{folder} holds shards of different width or type: {sorted(widths)}. Predict them anew.")
    found = FeatureShards(shards) if shards else None
    count = 0 if found is None else len(found)
    # with all its images a side is whole, though a predict that was killed on the other one has marked neither
    if found is None or count != index.images - len(index.missing):
        raise FeatureError(
            f"{folder} holds {count:,} of {index.images:,} images: "
            f"{'files are gone' if index.complete else 'predict was interrupted or limited'}. "
            "Run the same predict command again: it computes what is missing alone."
        )
    if index.missing:
        _log.warning("%s: %d images could not be read and are not in it", folder, len(index.missing))
    return found, {"pid": found.pid, "camera": found.camera, "row": found.row}, (folder / "index.json", *files)
