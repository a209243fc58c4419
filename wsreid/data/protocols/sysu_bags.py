"""The protocol `sysu`: SYSU-30k's folders, grouped by its bag_level_label.json or by sliding windows."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsreid.data.bag_draft import BagDraft
from wsreid.data.protocols.sysu_labels import read_bag_labels
from wsreid.errors import DataError

_log = logging.getLogger(__name__)


def sysu_bags(
    rows: NDArray[np.int64],
    folder: NDArray[np.int32] | NDArray[np.int64],
    identities: NDArray[np.int64],
    *,
    label_file: Path | None,
    widths: Sequence[int],
) -> BagDraft:
    """Groups whole folders into bags.

    Args:
        rows: Manifest rows to put into bags, ascending, `(N,)`.
        folder: Folder number of each row, `(N,)`; the rows of a folder follow each other.
        identities: Training identities, ascending, `(C,)`; the position is the class index. A folder's number is the
            identity that it is named after, though not all its images need show that one.
        label_file: SYSU-30k's bag_level_label.json, see `read_bag_labels`. Its bags that name a folder without images
            here are left out, with a warning: a download may be partial. None: sliding windows over the folders, one of
            each width around each folder; at the ends they are clamped, so they hold fewer folders there.
        widths: Folders in a bag: of the sliding windows to make, or of the file's bags to take (as many as the bag's
            list has entries, the clamped ends' repetitions counted).

    Returns:
        The bags, in the order of the file; a folder named twice in one bag is taken once.

    Raises:
        DataError: The file is not as described, or none of its bags is left.
    """
    first = np.append(0, np.flatnonzero(folder[1:] != folder[:-1]) + 1)
    numbers = folder[first].astype(np.int64)
    if len(np.unique(numbers)) != len(numbers) or int(rows[-1]) - int(rows[0]) + 1 != len(rows):
        raise ValueError("the rows of a folder must follow each other in the manifest, and the folders too")
    bounds = rows[0] + np.append(first, len(rows))  # (F + 1,): folder i holds the rows bounds[i] to bounds[i + 1]
    place = {int(number): position for position, number in enumerate(numbers)}
    classes = {int(identity): index for index, identity in enumerate(identities)}
    if label_file is None:
        return _draft(_sliding(numbers, widths, classes), bounds)
    draft = _draft(_from_json(label_file, place, classes, widths), bounds)
    if len(draft) == 0:
        raise DataError(f"{label_file} holds no bag of {_listed(widths)} folders. Mend data.bags.sysu_widths.")
    return draft


_Bag = tuple[int, list[int], list[int]]  # bag id, class indices, folder positions; the two lists ascending and unique


def _sliding(numbers: NDArray[np.int64], widths: Sequence[int], classes: dict[int, int]) -> Iterable[_Bag]:
    bag_id = 0
    for centre in range(len(numbers)):
        for width in widths:
            near = range(max(centre - width // 2, 0), min(centre + width // 2 + 1, len(numbers)))
            yield bag_id, sorted(classes[int(numbers[i])] for i in near), list(near)
            bag_id += 1


def _listed(widths: Sequence[int]) -> str:
    return " or ".join(map(str, widths))


def _from_json(path: Path, place: dict[int, int], classes: dict[int, int], widths: Sequence[int]) -> Iterable[_Bag]:
    taken = left_out = 0
    first = ""
    here = place.keys() & classes.keys()
    for bag in read_bag_labels(path):
        if len(bag.folders) not in widths:
            continue
        taken += 1
        if absent := bag.absent(here):
            left_out += 1
            first = first or f"the first is {bag.name}, which names folder {absent[0]}"
        else:
            yield bag.number, sorted({classes[x] for x in bag.labels}), sorted({place[x] for x in bag.folders})
    if taken and left_out == taken:
        raise DataError(
            f"{path}: each of its {taken:,} bags of {_listed(widths)} folders names a training folder that is not here "
            f"({first}). Fetch the folders, or remove the file for windows."
        )
    if left_out:
        _log.warning(
            "%s of %s bags of %s name folders that are not here and are left out; %s.",
            f"{left_out:,}",
            f"{taken:,}",
            path.name,
            first,
        )


def _draft(bags: Iterable[_Bag], bounds: NDArray[np.int64]) -> BagDraft:
    bag_id: list[int] = []
    candidates: list[int] = []
    starts: list[int] = []
    stops: list[int] = []
    candidate_offsets, range_offsets = [0], [0]
    for identifier, labels, folders in bags:
        bag_id.append(identifier)
        candidates += labels
        candidate_offsets.append(len(candidates))
        for folder in folders:
            if len(starts) > range_offsets[-1] and stops[-1] == bounds[folder]:
                stops[-1] = int(bounds[folder + 1])  # a neighbour: one range for both
            else:
                starts.append(int(bounds[folder]))
                stops.append(int(bounds[folder + 1]))
        range_offsets.append(len(starts))
    return BagDraft(
        bag_id=np.array(bag_id, np.int64),
        candidates=np.array(candidates, np.int32),
        candidate_offsets=np.array(candidate_offsets, np.int64),
        range_start=np.array(starts, np.int64),
        range_stop=np.array(stops, np.int64),
        range_offsets=np.array(range_offsets, np.int64),
    )
