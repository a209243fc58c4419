"""The list files of MSMT17: list_train.txt, list_val.txt, list_query.txt, list_gallery.txt."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, NamedTuple

from wsreid.errors import DataError

_LINE: Final = re.compile(r"(?P<file>\S.*\S)\s+(?P<label>\d{1,9})", re.ASCII)


class Listed(NamedTuple):
    """A line: the file without its ending, and the identity, which counts from 0 in train and again in test."""

    file: str
    label: int


def without_ending(file: str) -> str:
    """A path without its ending, so that a copy converted to PNG or named .JPG is found too."""
    return file.rpartition(".")[0]


def read_list(path: Path, known: dict[str, Path]) -> list[Listed]:
    """Reads a list; its files are only looked up among those found, no path is made from them.

    Args:
        path: The list.
        known: The files listed before, without ending, and by which list; takes those of this one.

    Raises:
        DataError: A line does not parse or lists a file again; the line is named.
    """
    lines: list[Listed] = []
    with path.open(encoding="utf-8-sig", errors="replace") as text:
        for number, line in enumerate(text, 1):
            if not line.strip():
                continue
            match = _LINE.fullmatch(line.strip().replace("\\", "/"))
            if match is None or "." not in match["file"]:
                raise DataError(
                    f"msmt17: {path} line {number} does not parse: {line.strip()[:80]!r}. Expected is a file and an "
                    "identity, like 0000/0000_000_01_0303morning_0008_0.jpg 0. Replace the list by the released one."
                )
            file = without_ending(match["file"])
            if file in known:
                raise DataError(
                    f"msmt17: {path} line {number} lists {match['file']}, which {known[file].name} lists already. "
                    "Replace the lists by the released ones."
                )
            known[file] = path
            lines.append(Listed(file, int(match["label"])))
    if not lines:
        raise DataError(f"msmt17: the list {path} is empty. Replace it by the released one.")
    return lines
