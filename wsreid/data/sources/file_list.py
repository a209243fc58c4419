"""A list of files that belong to a split, which may have millions of lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from wsreid.data.sources.text_hash import text_hashes
from wsreid.errors import DataError

_BLOCK: Final = 1 << 23
_KEY: Final = r"(?:^|/)(?P<key>(?:[^/]*/)?[^/]*\.(?i:jpg|jpeg|png|bmp))(?:\s+\S+)?$"


class FileList:
    """A list that says which files belong to a split. It only selects among files found: no path is made from it.

    Lines are `folder/name`, with or without folders above, or the name alone; a number after it is passed over. They
    are kept as hashes, 9 bytes a line.

    Args:
        path: The list.
        source: Name of the data set, for errors.

    Raises:
        DataError: It is empty or cannot be read.
    """

    def __init__(self, path: Path, source: str) -> None:
        self.path = path
        self._source = source
        self._example = ""
        hashes: list[NDArray[np.uint64]] = []
        try:
            for keys in _keys(path):
                self._example = self._example or str(keys[0])
                hashes.append(text_hashes(keys))
        except OSError as error:
            raise DataError(f"{source}: the list {path} cannot be read: {error.strerror or error}.") from error
        if not hashes:
            raise DataError(f"{source}: the list {path} is empty. Remove it, or replace it by the released one.")
        self._keys: NDArray[np.uint64] = np.unique(np.concatenate(hashes))  # (L,)
        self._used = np.zeros(len(self._keys), bool)
        self._unlisted = 0

    def take(self, files: pa.Array | pa.ChunkedArray) -> NDArray[np.bool_]:
        """Which of some files are listed; each line answers for one file.

        Args:
            files: Paths with `/`, strings, `(N,)`.

        Returns:
            `(N,)`.
        """
        listed = np.zeros(len(files), bool)
        files = (files.combine_chunks() if isinstance(files, pa.ChunkedArray) else files).cast(pa.large_string())
        for shorten in (_with_folder, _name):
            open_rows = np.flatnonzero(~listed)
            if not len(open_rows):
                break
            rest = files.take(pa.array(open_rows)) if listed.any() else files
            hashes = text_hashes(shorten(rest))
            at = np.minimum(np.searchsorted(self._keys, hashes), len(self._keys) - 1)
            rows = np.flatnonzero((self._keys[at] == hashes) & ~self._used[at])
            lines, first = np.unique(at[rows], return_index=True)
            self._used[lines] = True
            listed[open_rows[rows[first]]] = True
        self._unlisted += int((~listed).sum())
        return listed

    def differences(self) -> str | None:
        """What differs between the list and the files, once all were asked for.

        Raises:
            DataError: None of the files is listed, so the list is for another arrangement.
        """
        missing = int((~self._used).sum())
        if missing == len(self._used) and self._unlisted:
            raise DataError(
                f"{self._source}: {self.path} lists none of the {self._unlisted} files found, but for instance "
                f"{self._example!r}. Lines must read folder/name. Correct it, or remove it to use every file."
            )
        if not missing and not self._unlisted:
            return None
        unlisted = f"{self._unlisted} files are not listed and left out"
        return f"{self.path.name}: {missing} listed files are not there, {unlisted}"


def _keys(path: Path) -> Iterator[pa.Array]:
    """The keys of the lines that are not empty, a block of the file at a time."""
    for text in _blocks(path):
        lines = pc.ascii_trim_whitespace(pa.array(text.replace("\\", "/").split("\n"), pa.large_string()))
        lines = lines.filter(pc.not_equal(lines, ""))
        if len(lines):
            yield _where(lines, pc.or_(_deep(lines), pc.invert(pc.ends_with(lines, ".jpg"))), _key)


def _key(lines: pa.Array) -> pa.Array:
    # A line that names no image keeps its text: it will match nothing, and be counted.
    return pc.coalesce(pc.struct_field(pc.extract_regex(lines, _KEY), "key"), lines)


def _with_folder(files: pa.Array) -> pa.Array:
    return _where(files, _deep(files), lambda deep: pc.replace_substring_regex(deep, r"^.*/([^/]*/[^/]*)$", r"\1"))


def _name(files: pa.Array) -> pa.Array:
    return pc.replace_substring_regex(files, r"^.*/", "")


def _deep(files: pa.Array) -> pa.Array:
    """Which paths have a folder above the last one."""
    return pc.greater(pc.count_substring(files, "/"), 1)


def _where(texts: pa.Array, wanted: pa.Array, change: Callable[[pa.Array], pa.Array]) -> pa.Array:
    """Changes the texts for which it is wanted: regular expressions are the dearest thing here."""
    return pc.replace_with_mask(texts, wanted, change(texts.filter(wanted))) if pc.any(wanted).as_py() else texts


def _blocks(path: Path) -> Iterator[str]:
    """The text in blocks that end with a line."""
    rest = b""
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            whole, newline, tail = block.rpartition(b"\n")
            if not newline:
                rest += block
                continue
            yield (rest + whole).decode("utf-8", "replace")
            rest = tail
    if rest:
        yield rest.decode("utf-8", "replace")
