"""Images that turn out unreadable in mid-run: counted, limited, named."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Final

from wsreid.data.images import UnreadableImage, read_image
from wsreid.data.manifest import Manifest
from wsreid.errors import DataError

_log = logging.getLogger(__name__)

_SHOWN: Final = 10


class SkippedImages:
    """Counts the distinct images that batches had to leave out.

    Args:
        limit: How many may be left out; one more is an error.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.reasons: dict[int, str] = {}
        self._told = 0

    def add(self, rows: Iterable[int], manifest: Manifest) -> None:
        """Takes note of images that a batch left out.

        Args:
            rows: Their rows.
            manifest: The images.

        Raises:
            DataError: There are now more than the limit; names the files and the reasons.
        """
        for row in rows:
            if row not in self.reasons:
                self.reasons[row] = _reason(row, manifest)
        if len(self.reasons) > self.limit:
            raise DataError(
                f"{len(self.reasons)} images could not be read, and data.max_corrupt allows {self.limit}:{self._list()}"
            )

    def warn(self) -> None:
        """Names all images left out since the last call in one warning; silent if there are none."""
        if len(self.reasons) > self._told:
            self._told = len(self.reasons)
            _log.warning("%d images could not be read and were skipped:%s", len(self.reasons), self._list())

    def _list(self) -> str:
        more = f"\n  and {len(self.reasons) - _SHOWN} more" if len(self.reasons) > _SHOWN else ""
        return "".join(f"\n  {reason}" for reason in list(self.reasons.values())[:_SHOWN]) + more


def _reason(row: int, manifest: Manifest) -> str:
    location = manifest.location(row)
    try:
        read_image(location)
    except UnreadableImage as error:
        return str(error)
    return f"{location} could not be read in a worker, though it can be now"
