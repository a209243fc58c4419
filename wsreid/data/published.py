"""What is printed of each data set: its size, its splits, and how a set on disk differs from that.

Sizes, scenes and annotation as the comparison table of the SYSU-30k page prints them (Wang et al., "Weakly Supervised
Person Re-ID: Differentiable Graphical Learning and A New Benchmark", github.com/wanggrun/SYSU-30k), splits as the
sets' own authors do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

import numpy as np

from wsreid.data.records import ImageRecords, Split
from wsreid.errors import ConfigError

_TABLE: Final = "SYSU-30k page, comparison table"
WHOLE: Final = "whole set"
"""The key under which `differences` takes the count of all images and identities."""


@dataclass(frozen=True)
class SplitCount:
    """The size of a split.

    Attributes:
        images: Images; None = not published.
        identities: Identities, distractors that have none (0) not counted; None = not published.
    """

    images: int | None
    identities: int | None


@dataclass(frozen=True)
class Published:
    """What is printed of a data set.

    Attributes:
        name: The source that reads it.
        title: Its name in tables.
        identities: Identities, as printed in the comparison table.
        images: Images, as printed there.
        cameras: Cameras, as printed there; what the set itself has stands in brackets where it differs.
        scene: `indoor`, `outdoor` or `indoor, outdoor`.
        annotation: `strong` (an identity each image) or `weak` (candidates each bag).
        splits: Sizes of `train`, `query` and `gallery`, where the set has one fixed split.
        variants: The same of other protocols, by name.
        bags: Bags that come with the set.
        remark: What the table prints differently from the set itself.
        whole: Size of the set itself; None = as printed.
        source: Where the figures were printed.
    """

    name: str
    title: str
    identities: int
    images: int
    cameras: str
    scene: str
    annotation: str
    splits: Mapping[str, SplitCount]
    bags: int | None = None
    remark: str = ""
    source: str = _TABLE
    whole: SplitCount | None = None
    variants: Mapping[str, Mapping[str, SplitCount]] = field(default_factory=lambda: MappingProxyType({}))


def _splits(
    train: tuple[int | None, int], query: tuple[int | None, int], gallery: tuple[int | None, int]
) -> Mapping[str, SplitCount]:
    return MappingProxyType({"train": SplitCount(*train), "query": SplitCount(*query), "gallery": SplitCount(*gallery)})


_NONE: Final[Mapping[str, SplitCount]] = MappingProxyType({})
_MSMT17_QUERY: Final = (11_659, 3_060)
_MSMT17_GALLERY: Final = (82_161, 3_060)
_CUHK03_LABELLED: Final = _splits((7_368, 767), (1_400, 700), (5_328, 700))
_CUHK03_DETECTED: Final = _splits((7_365, 767), (1_400, 700), (5_332, 700))

PUBLISHED: Final[Mapping[str, Published]] = MappingProxyType(
    {
        entry.name: entry
        for entry in (
            Published(
                "cuhk03",
                "CUHK03",
                1_467,
                28_192,
                "2 (ten in five pairs)",
                "indoor",
                "strong",
                _CUHK03_LABELLED,
                remark="the set has five pairs of cameras and 28,193 boxes: 14,096 labelled and 14,097 detected",
                source=f"{_TABLE}; splits: Zhong et al., CVPR 2017, new protocol, labelled boxes",
                whole=SplitCount(28_193, 1_467),
                variants=MappingProxyType(
                    {
                        "new, labelled": _CUHK03_LABELLED,
                        "new, detected": _CUHK03_DETECTED,
                        "classic": _splits((None, 1_367), (None, 100), (None, 100)),
                    }
                ),
            ),
            Published(
                "market1501",
                "Market-1501",
                1_501,
                32_668,
                "6",
                "outdoor",
                "strong",
                _splits((12_936, 751), (3_368, 750), (15_913, 750)),
                remark="the 3,368 queries are not among the images printed; the gallery has 19,732 images with junk",
                source=f"{_TABLE}; splits: Zheng et al., ICCV 2015",
                whole=SplitCount(36_036, 1_501),
            ),
            Published(
                "dukemtmc_reid",
                "DukeMTMC-reID",
                1_812,
                36_411,
                "8",
                "outdoor",
                "strong",
                _splits((16_522, 702), (2_228, 702), (17_661, 1_110)),
                remark="408 of the gallery's identities are seen by one camera alone: distractors",
                source=f"{_TABLE}; splits: Zheng et al., ICCV 2017",
            ),
            Published(
                "msmt17",
                "MSMT17",
                4_101,
                126_441,
                "15",
                "indoor, outdoor",
                "strong",
                _splits((32_621, 1_041), _MSMT17_QUERY, _MSMT17_GALLERY),
                source=f"{_TABLE}; splits: Wei et al., CVPR 2018 (list_train and list_val together are train)",
                variants=MappingProxyType(
                    {"val left out": _splits((30_248, 1_041), _MSMT17_QUERY, _MSMT17_GALLERY)},
                ),
            ),
            Published(
                "cuhk01",
                "CUHK01",
                971,
                3_884,
                "10 (two in the set)",
                "indoor",
                "strong",
                _NONE,
                remark="the set has two cameras, two images of each identity from each",
            ),
            Published(
                "prid2011",
                "PRID2011",
                934,
                1_134,
                "2",
                "outdoor",
                "strong",
                _splits((200, 100), (100, 100), (649, 649)),
                remark="385 identities in camera A, 749 in camera B, the first 200 in both; sizes are single-shot",
                source=f"{_TABLE}; splits: Hirzer et al., SCIA 2011",
            ),
            Published(
                "viper",
                "VIPeR",
                632,
                1_264,
                "2",
                "outdoor",
                "strong",
                _splits((632, 316), (316, 316), (316, 316)),
                source=f"{_TABLE}; splits: Gray et al., PETS 2007",
            ),
            Published(
                "caviar4reid",
                "CAVIAR4REID",
                72,
                610,
                "2",
                "indoor",
                "strong",
                _NONE,
                remark="the set has 1,220 images: ten of each identity and camera, 50 identities in both cameras",
                source=f"{_TABLE}; the set itself: Cheng et al., BMVC 2011",
                whole=SplitCount(1_220, 72),
            ),
            Published(
                "sysu30k",
                "SYSU-30k",
                30_508,
                29_606_918,
                "countless",
                "indoor, outdoor",
                "weak",
                _splits((None, 28_310), (1_000, 1_000), (479_730, 1_000)),
                bags=84_930,
                remark="the page does not say how many of the images are training images",
                source="SYSU-30k page",
            ),
        )
    }
)
"""By source name, in the order of the comparison table."""


def counted(records: ImageRecords) -> dict[str, SplitCount]:
    """The sizes of a set's splits, as `differences` takes them.

    Args:
        records: The images. A distractor (pid 0) is an image without identity; training identities are the classes.

    Returns:
        `train`, `query` and `gallery`.
    """
    counts: dict[str, SplitCount] = {}
    for split in Split:
        first, last = np.searchsorted(records.split, [split, split + 1])
        known = records.pid[first:last]
        identities = len(records.identities) if split == Split.TRAIN else len(np.unique(known[known > 0]))
        counts[split.name.lower()] = SplitCount(int(last - first), identities)
    return counts


def expected(name: str, variant: str | None = None) -> Mapping[str, SplitCount]:
    """The published sizes of a set.

    Args:
        name: Its source.
        variant: A key of `Published.variants`; None = its one fixed split.

    Returns:
        By `train`, `query`, `gallery` and `WHOLE`; what is not published is not there.

    Raises:
        ConfigError: There is no such variant.
    """
    if name not in PUBLISHED:
        return _NONE
    entry = PUBLISHED[name]
    if variant is not None and variant not in entry.variants:
        raise ConfigError(f"{name} has no variant {variant!r}; it has {sorted(entry.variants)}.")
    splits = entry.splits if variant is None else entry.variants[variant]
    return {**splits, WHOLE: entry.whole or SplitCount(entry.images, entry.identities)}


def differences(name: str, counts: Mapping[str, SplitCount], variant: str | None = None) -> list[str]:
    """How the sizes found differ from the published ones.

    Args:
        name: The source; one of which nothing is published differs in nothing.
        counts: What was found, by `train`, `query`, `gallery` or `WHOLE`; None in it = not counted.
        variant: A key of `Published.variants`; None = the set's one fixed split.

    Returns:
        One line a figure, such as `train: 12,900 images, published are 12,936`.

    Raises:
        ConfigError: There is no such variant.
    """
    published = expected(name, variant)
    lines: list[str] = []
    for split, found in counts.items():
        if split not in published:
            continue
        for what in ("images", "identities"):
            have: int | None = getattr(found, what)
            want: int | None = getattr(published[split], what)
            if have is not None and want is not None and have != want:
                lines.append(f"{split}: {have:,} {what}, published are {want:,}")
    return lines
