"""Noting how a data set found differs from what is published of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from wsreid.data.published import SplitCount, counted, differences
from wsreid.data.records import ImageRecords


def compared(
    records: ImageRecords, name: str, counts: Mapping[str, SplitCount] | None = None, variant: str | None = None
) -> ImageRecords:
    """The same images with a note for each figure that differs; a partial set is never refused.

    Args:
        records: The images.
        name: The source.
        counts: What to compare; None = the sizes of the three splits.
        variant: See `differences`.
    """
    lines = differences(name, counted(records) if counts is None else counts, variant)
    return replace(records, notes=(*records.notes, *lines))
