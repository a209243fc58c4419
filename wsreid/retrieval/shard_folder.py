"""A folder of shards while it is being filled: what is done, what it may be mixed with, when it is complete."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from wsreid.errors import ConfigError, FeatureError
from wsreid.retrieval.feature_shards import REMEDY, Shard, shard_files
from wsreid.retrieval.junk import Ints
from wsreid.retrieval.npz_check import check_npz
from wsreid.retrieval.shard_index import INDEX_FILE, ShardIndex

_SHOWN = 16  # characters of a hash
_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class ShardFolder:
    """A folder that one prediction fills, in as many goes as it takes.

    Attributes:
        path: The folder, which need not exist.
        rows: The data set's rows that are to be in it, `(N,)` int64.
        origin: What the features depend on, in words or hashes.
    """

    path: Path
    rows: Ints = field(repr=False)
    origin: Mapping[str, str]

    def done(self, *, verify: bool = False) -> Ints:
        """The rows that finished shards hold, ascending, `(n,)`.

        Args:
            verify: Whether to read all shards for their checksums.

        Raises:
            ConfigError: The shards were made of other weights, data or settings, or are no shards of ours.
            FeatureError: A shard is damaged.
        """
        files = shard_files(self.path)
        if not files and not (self.path / INDEX_FILE).exists():
            return np.empty(0, np.int64)
        try:
            index = ShardIndex.read(self.path)
        except FeatureError as error:
            raise ConfigError(f"{error} {self._ways_out()}") from error
        names = [*self.origin, *(name for name in index.origin if name not in self.origin)]
        other = [
            f"{name} {index.origin.get(name, 'unknown')[:_SHOWN]} (now {self.origin.get(name, 'none')[:_SHOWN]})"
            for name in names
            if index.origin.get(name) != self.origin.get(name)
        ]
        if other:
            raise ConfigError(
                f"{self.path} holds {len(files)} shards of another prediction: {', '.join(other)}. Features of two "
                f"predictions cannot be mixed. {self._ways_out()}"
            )
        if verify:
            for path in files:
                check_npz(path, REMEDY)
        found = [Shard.open(path).row for path in files]
        return np.unique(np.concatenate([*found, np.empty(0, np.int64)]))

    def finish(self, unreadable: int) -> ShardIndex:
        """Marks the folder as complete.

        Args:
            unreadable: How many images may be missing because they could not be read.

        Returns:
            The index as written.

        Raises:
            FeatureError: More rows are missing.
        """
        missing = np.setdiff1d(self.rows, self.done())
        if len(missing) > unreadable:
            raise FeatureError(
                f"{self.path}: {len(missing):,} of {len(self.rows):,} images are missing, such as row {missing[0]}. "
                "All processes must write into the same folder; run the same command again."
            )
        index = ShardIndex(len(self.rows), self.origin, complete=True, missing=tuple(missing.tolist()))
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            index.write(self.path)
        except OSError as error:
            raise cannot_write(self.path / INDEX_FILE, error) from error
        return index

    def _ways_out(self) -> str:
        return f"Write elsewhere with --run NEW, or remove {self.path} to begin again."


def begin_folders(folders: Iterable[ShardFolder]) -> None:
    """Makes folders and their indices where there are none, and removes what a killed process left of a file.

    To be called by one process, before any writes.

    Args:
        folders: The folders, whose `done` has been asked for: a folder of another prediction must stay as it is.

    Raises:
        FeatureError: One cannot be written.
    """
    for folder in folders:
        try:
            folder.path.mkdir(parents=True, exist_ok=True)
            for path in folder.path.glob(".*.part"):
                path.unlink(missing_ok=True)
            if not (folder.path / INDEX_FILE).exists():
                ShardIndex(len(folder.rows), folder.origin).write(folder.path)
        except OSError as error:
            raise cannot_write(folder.path / INDEX_FILE, error) from error


def cannot_write(path: Path, error: OSError, size: int = 0) -> FeatureError:
    """What to tell the user when a file of the folder cannot be written.

    Args:
        path: The file.
        error: Why.
        size: Its bytes, if they are many.

    Returns:
        The error to raise.
    """
    reason = "no space is left on the disk" if error.errno in _FULL else str(error.strerror or error)
    return FeatureError(
        f"{path}{f' ({size / 1e6:,.1f} MB)' if size else ''} cannot be written: {reason}. The finished shards stay "
        "usable: make room and run the same command again, it goes on behind them."
    )
