"""Reading the file names of data sets in Market-1501's three folders."""

from __future__ import annotations

import re
from typing import Final

from wsreid.data.records import Split
from wsreid.data.sources.builder import ImageEntry, RecordsBuilder
from wsreid.data.sources.scan import Found

MARKET_FOLDERS: Final = {Split.TRAIN: "bounding_box_train", Split.QUERY: "query", Split.GALLERY: "bounding_box_test"}


def market_entries(
    split: Split, images: list[Found], builder: RecordsBuilder, pattern: re.Pattern[str], example: str
) -> list[ImageEntry]:
    """Reads the names of one split's images.

    Args:
        split: The split.
        images: Its files.
        builder: Takes the problems and notes.
        pattern: Matches a whole name, with the groups `pid`, `camera`, `frame` and, if there is one, `sequence`.
        example: A name that parses, for the message about one that does not.

    Returns:
        The images, sorted. In the gallery identity 0 is a distractor, and -1 junk, which is dropped.
    """
    entries: list[ImageEntry] = []
    junk = 0
    for image in images:
        match = pattern.fullmatch(image.name)
        if match is None:
            builder.problem(image.file, f"has a name that does not parse: expected one like {example}")
            continue
        pid, camera, frame = (int(match[key]) for key in ("pid", "camera", "frame"))
        if split == Split.GALLERY and pid == -1:
            junk += 1
        elif split != Split.GALLERY and pid < 1:
            builder.problem(image.file, f"names no identity ({match['pid']}): such images belong in bounding_box_test")
        else:
            sequence = int(match.groupdict().get("sequence", -1))
            entries.append(ImageEntry(split, camera, sequence, frame, image.file, pid, image.size))
    if junk:
        builder.note(f"{junk} junk images (-1) dropped from the gallery")
    return sorted(entries)
