"""Market-1501 (Zheng et al., "Scalable Person Re-identification: A Benchmark", ICCV 2015), and sets in its layout."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar, Final

from wsreid.data.records import ImageRecords
from wsreid.data.sources.base import Source
from wsreid.data.sources.builder import RecordsBuilder
from wsreid.data.sources.market_names import MARKET_FOLDERS, market_entries
from wsreid.data.sources.scan import scan

_NAME: Final = re.compile(
    r"(?P<pid>-1|\d{1,9})_c(?P<camera>\d{1,6})s(?P<sequence>\d{1,6})_(?P<frame>\d{1,18})_\d+(\.[A-Za-z]+)+", re.ASCII
)


class Market1501(Source):
    """Market-1501: folders bounding_box_train, query and bounding_box_test.

    Names are read as `0002_c1s1_000451_03.jpg`: identity, camera, sequence, frame, box. Identity 0000 marks
    distractors, which stay in the gallery as non-matches; -1 marks junk, which is dropped from it.
    """

    name: ClassVar[str] = "market1501"
    where: ClassVar[str] = (
        "It must be the unpacked folder of Market-1501, with the folders bounding_box_train, query and "
        "bounding_box_test; its authors offer it at zheng-lab.cecs.anu.edu.au/Project/project_reid.html."
    )

    def watched(self, root: Path) -> Iterable[Path]:
        """The three folders."""
        return [self.require_folder(root, folder) for folder in MARKET_FOLDERS.values()]

    def index(self, root: Path) -> ImageRecords:
        """Lists the images; see `Source.index`."""
        self.watched(root)
        builder = RecordsBuilder(self.name)
        for split, folder in MARKET_FOLDERS.items():
            found, problems = scan(root / folder, root)
            builder.problems(problems)
            builder.add(market_entries(split, found, builder, _NAME, "0002_c1s1_000451_03.jpg"))
            builder.require_images(split, root, folder)
        return builder.records()
