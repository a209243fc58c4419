"""Bags: groups of images whose label names candidates, kept in one memory-mapped file."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from wsreid.data.bag_draft import BagDraft
from wsreid.data.bag_format import BagHeader, content_hash, read_table, write_table
from wsreid.data.bag_settings import BagSettings
from wsreid.data.cache import write_atomically
from wsreid.data.manifest import Manifest
from wsreid.errors import DataError

_REMEDY: Final = "Give the right file, or leave the option data.bag_file out."


class Bags:
    """B bags over the rows of a manifest; the columns are views of the file where one was opened.

    A (bag, row) pair is a member. The members are numbered through all bags: the j-th image of bag b is member
    `member_start[b] + j`. One image may lie in several bags.

    Attributes:
        bag_id: The bags' own ids, `(B,)` int64.
        sizes: Images in each bag, `(B,)` int64.
        member_start: First member of each bag, `(B,)` int64.
        n_members: Sum of the sizes.
        settings: How the bags were made.
        manifest_hash: Hash of the manifest whose rows they name.
        hash: Hash of the bags and of `manifest_hash`.
        path: The file, or None where the bags are in memory alone.
    """

    def __init__(
        self,
        draft: BagDraft,
        sizes: NDArray[np.int64],
        header: BagHeader,
        path: Path | None = None,
        remedy: str = _REMEDY,
    ) -> None:
        self._draft = draft
        self._remedy = remedy
        self._header = header
        self.path = path
        self.bag_id = draft.bag_id
        self.sizes = sizes
        self.member_start: NDArray[np.int64] = np.cumsum(sizes) - sizes
        self.n_members = int(sizes.sum())
        self.settings = header.settings
        self.manifest_hash = header.manifest_hash
        self.hash = header.hash

    @classmethod
    def from_draft(cls, draft: BagDraft, settings: BagSettings, manifest_hash: str) -> Bags:
        """Bags in memory.

        Args:
            draft: What a protocol made.
            settings: How it was made.
            manifest_hash: Hash of the manifest whose rows it names.
        """
        header = BagHeader(settings, manifest_hash, content_hash(draft, manifest_hash))
        return cls(draft, _sizes(draft), header)

    @classmethod
    def open(cls, path: Path, remedy: str = _REMEDY) -> Bags:
        """Maps a bag file into memory; `check_against` verifies that it belongs to a manifest.

        Args:
            path: A file of `write`.
            remedy: What the user is told to do about a damaged file; by default, as for one that the user named.

        Raises:
            DataError: The file is missing, damaged, or no bag file.
        """
        path = Path(path).absolute()
        try:
            draft, sizes, header = read_table(path)
        except FileNotFoundError as error:
            raise DataError(f"the bag file {path} does not exist") from error
        except (pa.ArrowException, ValueError, OSError) as error:
            raise DataError(f"{path} is no readable bag file, or a damaged one: {error}. {remedy}") from error
        if len(draft) == 0 or np.any(np.diff(draft.range_offsets) < 1) or not np.array_equal(_sizes(draft), sizes):
            raise DataError(f"the bag file {path} is damaged: it holds empty bags or wrong sizes. {remedy}")
        return cls(draft, sizes, header, path, remedy)

    @property
    def draft(self) -> BagDraft:
        """The bags as flat arrays, to be read only."""
        return self._draft

    def write(self, path: Path) -> None:
        """Writes a bag file, whole or not at all.

        Args:
            path: The file to write; one that exists is replaced.

        Raises:
            DataError: The folder cannot be written to.
            OSError: The disk is full.
        """
        write_atomically(Path(path), lambda partial: write_table(partial, self._draft, self.sizes, self._header))

    def __len__(self) -> int:
        """The number B of bags."""
        return len(self.bag_id)

    def __repr__(self) -> str:
        return f"Bags({self.settings.protocol}, {len(self)} bags, {self.n_members} members)"

    def candidates(self, bag: int) -> NDArray[np.int32]:
        """The class indices that the label of a bag names, ascending, unique, `(L,)` int32."""
        offsets = self._draft.candidate_offsets
        return self._draft.candidates[offsets[bag] : offsets[bag + 1]]

    def rows(self, bag: int, positions: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        """Manifest rows of a bag's images, in member order.

        Args:
            bag: Which bag.
            positions: Which of its images, each in `0..sizes[bag] - 1`; None = all.

        Returns:
            `(sizes[bag],)` or `(len(positions),)` int64.
        """
        if positions is None:
            positions = np.arange(self.sizes[bag])
        return self.rows_of(np.array([bag]), np.zeros(len(positions), np.int64), positions)

    def rows_of(
        self, which: NDArray[np.int64], owner: NDArray[np.int64], positions: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Manifest rows of images of several bags.

        Args:
            which: The bags, `(B,)`.
            owner: For each image, the index in `which` of its bag, `(N,)`.
            positions: Which of its bag's images it is, in member order, `(N,)`.

        Returns:
            `(N,)` int64.
        """
        draft = self._draft
        first = draft.range_offsets[which]
        count = draft.range_offsets[which + 1] - first  # (B,): ranges of each bag
        ranges = np.arange(count.sum()) + np.repeat(first - np.cumsum(count) + count, count)  # (R,): all of theirs
        start = draft.range_start[ranges]
        length = draft.range_stop[ranges] - start
        end = np.cumsum(length)  # (R,): the images of these bags, numbered through, at which the ranges end
        sizes = self.sizes[which]
        at = (np.cumsum(sizes) - sizes)[owner] + positions  # (N,): the images asked for, by these numbers
        found = np.searchsorted(end, at, side="right")
        rows: NDArray[np.int64] = at + (start - end + length)[found]
        return rows

    def check_against(self, manifest: Manifest) -> None:
        """Verifies that these bags belong to a manifest and name only its rows and classes.

        Raises:
            DataError: They do not; the message names both hashes, or the bag and the label.
        """
        name = "the bags" if self.path is None else f"the bags in {self.path}"
        if self.manifest_hash != manifest.hash:
            raise DataError(
                f"{name} belong to the manifest with the hash {self.manifest_hash[:12]}, but {manifest.path} has the "
                f"hash {manifest.hash[:12]}: the images are not the same. Name the manifest that the bags were made "
                f"for (data.manifest), or leave data.bag_file out: bags are then made for this one."
            )
        draft = self._draft
        classes = len(manifest.identities)
        if (wrong := np.flatnonzero((draft.candidates < 0) | (draft.candidates >= classes))).size:
            bag = int(self.bag_id[draft.owner[wrong[0]]])
            raise DataError(
                f"{name}: the label of bag {bag} names the class {int(draft.candidates[wrong[0]])}, which is not "
                f"among the {classes} classes of {manifest.path}. {self._remedy}"
            )
        if np.any(draft.range_start < 0) or np.any(draft.range_stop > len(manifest)):
            raise DataError(f"{name} name rows that {manifest.path} does not have. {self._remedy}")

    def check(self) -> None:
        """Verifies the content hash; reads the whole file once.

        Raises:
            DataError: It is not the one in the header.
        """
        found = content_hash(self._draft, self.manifest_hash)
        if found != self.hash:
            raise DataError(
                f"the bag file {self.path} is damaged: its content hash is {found[:12]}, its header says "
                f"{self.hash[:12]}. {self._remedy}"
            )

    def count_inside(self, rows: NDArray[np.int64]) -> int:
        """Counts the members among some manifest rows, ascending and unique, `(N,)`."""
        before = (np.searchsorted(rows, bound) for bound in (self._draft.range_stop, self._draft.range_start))
        return int(np.subtract(*before).sum())

    def count_naming(self, classes: NDArray[np.int32]) -> int:
        """Counts the candidates, over all bags, that are among the given class indices."""
        return int(np.isin(self._draft.candidates, classes).sum())


def _sizes(draft: BagDraft) -> NDArray[np.int64]:
    lengths = draft.range_stop - draft.range_start
    sizes: NDArray[np.int64] = np.add.reduceat(lengths, draft.range_offsets[:-1])
    return sizes
