"""The size of a data set in a few figures: as its authors print it, and as a manifest holds it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wsreid.data.manifest import Manifest, Split
from wsreid.data.published import PUBLISHED, Published, SplitCount
from wsreid.data.rendered.dataset import STAMP

RENDERED: Final = "synthetic"
"""Name of the rendered set, which has the layout of another."""

_CHUNK: Final = 1 << 22  # rows at a time, so that no copy of a column of millions is made


@dataclass(frozen=True)
class SetStatistics:
    """One line of the comparison of data sets.

    Attributes:
        name: Name of the source that reads the set, or `RENDERED`.
        title: Its name in tables and figures.
        measured: The figures were counted in a manifest; else they are published ones.
        identities: Different identities, distractors and junk not counted.
        images: All images.
        cameras: How many cameras, in words where a number does not tell.
        scene: `indoor`, `outdoor`, `indoor, outdoor` or `rendered`; empty = not known.
        annotation: `strong` (an identity each image), `weak` (candidates each bag), or what lies between.
        test: Query and gallery together; None = there is no test split, or none is published.
        origin: Where the figures were printed, or the manifest's file.
        remarks: What a reader must know of them.
    """

    name: str
    title: str
    measured: bool
    identities: int
    images: int
    cameras: str
    scene: str
    annotation: str
    test: SplitCount | None
    origin: str
    remarks: tuple[str, ...] = ()


def published_statistics() -> list[SetStatistics]:
    """The published figures of the nine sets, in the order of `PUBLISHED`."""
    return [
        SetStatistics(
            name=entry.name,
            title=entry.title,
            measured=False,
            identities=entry.identities,
            images=entry.images,
            cameras=entry.cameras,
            scene=entry.scene,
            annotation=entry.annotation,
            test=_published_test(entry),
            origin=entry.source,
            remarks=(entry.remark,) if entry.remark else (),
        )
        for entry in PUBLISHED.values()
    ]


def measured_statistics(manifest: Manifest) -> SetStatistics:
    """Counts a manifest. The scene is no matter of counting: it is the published one of the same source.

    Args:
        manifest: The images; tens of millions are counted in pieces.

    Returns:
        Its figures.
    """
    rendered = (manifest.root / STAMP).is_file()
    entry = None if rendered else PUBLISHED.get(manifest.source)
    title = "Rendered pedestrians" if rendered else manifest.source if entry is None else entry.title
    query, gallery = manifest.row_range(Split.QUERY), manifest.row_range(Split.GALLERY)
    tested = distinct(manifest.pid[query.start : gallery.stop])
    tested = tested[tested > 0]
    return SetStatistics(
        name=RENDERED if rendered else manifest.source,
        title=title,
        measured=True,
        identities=len(np.union1d(manifest.identities, tested)),
        images=len(manifest),
        cameras=_cameras(manifest),
        scene="rendered" if rendered else "" if entry is None else entry.scene,
        annotation=_annotation(manifest),
        test=SplitCount(len(query) + len(gallery), len(tested)) if len(query) + len(gallery) else None,
        origin=str(manifest.path),
        remarks=manifest.notes,
    )


def compared(measured: Iterable[SetStatistics]) -> list[SetStatistics]:
    """The published figures, each followed by those measured on the same set; other sets come last.

    Args:
        measured: What was counted. Sets of one title are told apart by the file of their manifest.

    Returns:
        All lines of the comparison.
    """
    found = list(measured)
    count = Counter(line.title for line in found)
    found = [replace(m, title=f"{m.title} ({_short(m.origin)})") if count[m.title] > 1 else m for m in found]
    lines: list[SetStatistics] = []
    for published in published_statistics():
        lines += [published, *(line for line in found if line.name == published.name)]
    return lines + [line for line in found if line.name not in PUBLISHED]


def distinct(column: NDArray[np.int32]) -> NDArray[np.int32]:
    """The different values of a column, ascending, `(U,)`; memory for a piece of the column alone."""
    found: NDArray[np.int32] = np.empty(0, np.int32)
    for start in range(0, len(column), _CHUNK):
        found = np.union1d(found, column[start : start + _CHUNK])
    return found


def _short(path: str) -> str:
    return "/".join(Path(path).parts[-2:])


def _published_test(entry: Published) -> SplitCount | None:
    parts = [entry.splits[key] for key in ("query", "gallery") if key in entry.splits]
    images = [part.images for part in parts if part.images is not None]
    identities = [part.identities for part in parts if part.identities is not None]
    if len(images) < 2:
        return None
    return SplitCount(sum(images), max(identities, default=None))  # the gallery holds each query's identity


def _cameras(manifest: Manifest) -> str:
    known = distinct(manifest.camera)
    count = int((known >= 0).sum())
    if count == len(known):
        return str(count)
    return f"{count} known, some images without" if count else "unknown"


def _annotation(manifest: Manifest) -> str:
    rows = manifest.row_range(Split.TRAIN)
    pid = manifest.pid[rows.start : rows.stop]
    known = sum(int((pid[start : start + _CHUNK] >= 0).sum()) for start in range(0, len(pid), _CHUNK))
    if not len(pid):
        return ""
    return "strong" if known == len(pid) else "weak" if not known else f"strong for {100 * known / len(pid):.0f} %"
