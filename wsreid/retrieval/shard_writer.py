"""Writes features in shards, each of which is whole or not there."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from wsreid.errors import ConfigError, FeatureError
from wsreid.retrieval.junk import Ints
from wsreid.retrieval.npz_file import write_npz
from wsreid.retrieval.shard_folder import ShardFolder, cannot_write
from wsreid.whole_file import sync_folder

Table = np.ndarray[tuple[int, int], np.dtype[np.float32]]


@dataclass(frozen=True)
class ShardSettings:
    """How features are stored.

    Attributes:
        dtype: Type to store them in. float16 takes half the room.
        shard_images: Most images in a file.
        shard_seconds: A file is written after so many seconds even if it is not full: what a kill may cost.

    Raises:
        ConfigError: A number that is not positive.
    """

    dtype: Literal["float16", "float32"] = "float16"
    shard_images: int = 8192
    shard_seconds: float = 30.0

    def __post_init__(self) -> None:
        if self.shard_images < 1:
            raise ConfigError(f"features.shard_images must be at least 1, got {self.shard_images}")
        if not self.shard_seconds > 0:
            raise ConfigError(f"features.shard_seconds must be above 0, got {self.shard_seconds}")


class ShardWriter:
    """Collects features and writes a shard whenever there are enough, or the last one was long ago.

    A shard is `shard-<first row>-<last row>.npz`, uncompressed, with features, pid, camera and row. It is written
    under another name, brought to the disk and then renamed, so that a kill at any time loses no more than the images
    since the last shard.

    Args:
        folder: Where the shards go; `begin_folders` has made it.
        settings: Type and size.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        folder: ShardFolder,
        settings: ShardSettings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder = folder
        self.settings = settings
        self._clock = clock
        self._since = clock()
        self._features: list[np.ndarray[tuple[int, int], np.dtype[np.floating]]] = []
        self._numbers: list[np.ndarray[tuple[int, int], np.dtype[np.int64]]] = []
        self._count = 0

    def add(self, features: Table, pid: Ints, camera: Ints, row: Ints) -> None:
        """Takes a batch.

        Args:
            features: `(n, D)` float32.
            pid: Identities, `(n,)`.
            camera: Cameras, `(n,)`.
            row: The data set's rows, `(n,)`, ascending over all batches.

        Raises:
            FeatureError: The shard cannot be written, a feature does not fit the type, or a row is unknown.
        """
        if not len(row):
            return
        if int(row.min()) < 0:
            raise FeatureError("predict needs the data set's row of each image, and the batch says -1 (unknown).")
        if not self._count:
            self._since = self._clock()
        with np.errstate(over="ignore"):
            stored = features.astype(self.settings.dtype)  # (n, D)
        lost = np.flatnonzero((np.isinf(stored) & np.isfinite(features)).any(axis=1))  # (n, D) -> (n,)
        if len(lost):
            raise FeatureError(
                f"the features of row {int(row[lost[0]])} and {len(lost) - 1} more of its batch are too large for "
                f"{stored.dtype}, which ends at {np.finfo(stored.dtype).max:.0f}. Use --features.dtype float32"
            )
        numbers = np.stack([pid, camera, row])  # 3 x (n,) -> (3, n)
        taken = 0
        while taken < len(row):  # a batch may fill more than one shard
            end = min(len(row), taken + self.settings.shard_images - self._count)
            self._features.append(stored[taken:end])
            self._numbers.append(numbers[:, taken:end])
            self._count += end - taken
            taken = end
            if self._count == self.settings.shard_images:
                self.flush()
        if self._clock() - self._since >= self.settings.shard_seconds:
            self.flush()

    def flush(self) -> None:
        """Writes what has been collected, if anything.

        Raises:
            FeatureError: The disk is full, or the folder cannot be written; the finished shards stay.
        """
        if not self._count:
            return
        features = np.concatenate(self._features)  # (n, D)
        pid, camera, row = np.concatenate(self._numbers, axis=1)  # (3, n)
        self._features, self._numbers, self._count = [], [], 0
        path = self.folder.path / f"shard-{row[0]:08d}-{row[-1]:08d}.npz"
        try:
            write_npz(path, {"features": features, "pid": pid, "camera": camera, "row": row})
            sync_folder(self.folder.path)
        except OSError as error:
            raise cannot_write(path, error, features.nbytes) from error
        self._since = self._clock()
