"""What can be known to be wrong with a data set before training starts."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wsreid.data.archives import Archive, holds_file, look_at
from wsreid.data.bags import Bags
from wsreid.data.cache import cache_dir
from wsreid.data.manifest import Manifest, Split
from wsreid.data.seeding import stream
from wsreid.data.splits import has_match
from wsreid.errors import DataError

_log = logging.getLogger(__name__)

_SHOWN: Final = 10
_NAMED: Final = 5
_LOOKED_AT: Final = 16
_VERIFIED: Final = 64 << 20  # bytes, which take a third of a second


def check_root(manifest: Manifest) -> None:
    """Refuses a manifest whose images are not where it says.

    Raises:
        DataError: The folder is missing.
    """
    if not manifest.root.is_dir():
        raise DataError(
            f"the folder {manifest.root}, which holds the images of {manifest.path}, does not exist. "
            f"Say where they are now with --data.root (fit), or --root (check)."
        )


def check_content(manifest: Manifest) -> None:
    """Verifies what a manifest holds, unless it is so large that this would take seconds, and says so.

    Raises:
        DataError: It is damaged.
    """
    size = manifest.path.stat().st_size
    if size <= _VERIFIED:
        manifest.check()
    else:
        _log.info("%s (%d MB) is not verified; `python -m wsreid check` does", manifest.path, size // 10**6)


def check_archives(manifest: Manifest) -> None:
    """Refuses a manifest whose tars have changed since it was made: other images would come out under its rows.

    A copied tar has another time of change, so that alone is warned of, and some of its rows are compared with the
    headers of the tar's members: a tar that was written again may have kept its size.

    Raises:
        DataError: A tar has another size, is none any more, or holds no member where a row says.
    """
    warnings = []
    for before in manifest.archives:
        tar = manifest.root / before.file
        try:
            now = look_at(manifest.root, before.file)
            if now.size != before.size:
                raise ValueError(
                    f"has {now.size:,} bytes (changed at {_time(now)}), but had {before.size:,} bytes (changed at "
                    f"{_time(before)}) when the manifest was made"
                )
            if now.mtime_ns == before.mtime_ns:
                continue
            _check_members(manifest, before, now)
        except OSError as error:
            warnings.append(f"{tar} cannot be looked at: {error.strerror or error}")
        except ValueError as error:
            raise DataError(
                f"{tar} {error}: its images may be others than {manifest.path} says. Put the tar back as it was, or "
                f"index the data set again (`python -m wsreid prepare`, or without data.manifest delete the manifest) "
                f"and make its bags again."
            ) from error
        else:
            warnings.append(f"{tar} has another time of change, {_time(now)}, it was {_time(before)}")
    if warnings:
        _log.warning(
            "these tars may not be as they were when %s was made; where they can be read, the places of some of their "
            "images were compared, and agree. If they are copies, all is well; else index the data set again:%s",
            manifest.path,
            "".join(f"\n  {warning}" for warning in warnings),
        )


def _check_members(manifest: Manifest, before: Archive, now: Archive) -> None:
    generator = stream("archives", now.size)
    # Of each piece some, and of those some: all rows at once would take hundreds of megabytes.
    some = [generator.choice(rows, min(_LOOKED_AT, len(rows)), replace=False) for rows in manifest.rows_in(before.file)]
    drawn = np.concatenate([*some, np.empty(0, np.int64)])  # (n,)
    for row in np.sort(generator.permutation(drawn)[:_LOOKED_AT]).tolist():
        at = manifest.location(row)
        if at.offset >= 0 and not holds_file(at.path, at.offset, at.size):
            raise ValueError(
                f"was changed at {_time(now)} (before: {_time(before)}), has its {now.size:,} bytes as before, but no "
                f"file of {at.size} bytes at byte {at.offset}, where row {row} lies"
            )


def _time(archive: Archive) -> str:
    try:
        moment = datetime.fromtimestamp(archive.mtime_ns // 10**9, UTC)
    except (ValueError, OverflowError, OSError):  # a time of a damaged file system
        return f"{archive.mtime_ns} ns after 1970"
    return f"{moment:%Y-%m-%d %H:%M:%S}.{archive.mtime_ns % 10**9:09d} UTC"


def check_problems(manifest: Manifest, max_corrupt: int) -> None:
    """Refuses a data set with more unusable files than allowed; warns of fewer.

    Raises:
        DataError: Names the first files and what is wrong with them.
    """
    problems, count = manifest.problems, manifest.problem_count
    if not count:
        return
    shown = "".join(f"\n  {problem}" for problem in problems[:_SHOWN])
    rest, named = count - len(problems[:_SHOWN]), len(problems[_SHOWN:])
    more = f"\n  and {rest:,} more" if rest else ""
    if rest > named:
        more += f", of which {named:,} are named in the manifest (the first of each kind)"
    ours = manifest.path.is_relative_to(cache_dir())
    how = f"delete {manifest.path} so that the data set is indexed again" if ours else "prepare the manifest again"
    again = f"after mending files in place, {how}"
    if count > max_corrupt:
        raise DataError(
            f"{count} files under {manifest.root} cannot be used, and data.max_corrupt allows {max_corrupt}:"
            f"{shown}{more}\nReplace or remove them ({again}), or raise data.max_corrupt to leave them out."
        )
    _log.warning(
        "%d files under %s cannot be used and are left out (%s):%s%s",
        count,
        manifest.root,
        again,
        shown,
        more,
    )


def check_not_empty(manifest: Manifest, splits: tuple[Split, ...]) -> None:
    """Refuses a data set with an empty split.

    Raises:
        DataError: Names the split.
    """
    for split in splits:
        if not len(manifest.row_range(split)):
            raise DataError(
                f"the {split.name.lower()} split of {manifest.root} is empty ({manifest!r}). Check data.root and the "
                f"options of data.source."
            )


def check_matches(manifest: Manifest, query: NDArray[np.int64], gallery: NDArray[np.int64], stage: str) -> None:
    """Refuses queries none of which can be matched; warns if some cannot.

    Args:
        manifest: The images.
        query: Manifest rows of the queries, `(Q,)`.
        gallery: Manifest rows of the gallery, `(G,)`.
        stage: `val` or `test`, for the message.

    Raises:
        DataError: There is no query, or none has a match.
    """
    if not len(query):
        raise DataError(
            f"{stage}: there is no query: none of the identities is seen by two cameras (or, in a data set without "
            f"cameras, in two images). For val, set data.val_fraction 0; else check how cameras are read from the file "
            f"names (options of data.source)."
        )
    pid, camera = manifest.pid, manifest.camera
    matched = has_match(pid[query], camera[query], pid[gallery], camera[gallery])
    if matched.all():
        return
    lost = query[~matched]
    known = np.isin(pid[lost], pid[gallery])
    cause = (
        f"{int((~known).sum())} show an identity that the gallery does not have, {int(known.sum())} an identity that "
        f"the gallery has from the query's own camera alone"
    )
    example = ", ".join(manifest.file(int(row)) for row in lost[:_NAMED]) + (", ..." if len(lost) > _NAMED else "")
    if not matched.any():
        raise DataError(
            f"{stage}: none of the {len(query)} queries has a match in the gallery of {len(gallery)} images: {cause} "
            f"(such as {example}). Check that query and gallery are of the same identities and that identities and "
            f"cameras are read correctly from the file names (options of data.source)."
        )
    _log.warning(
        "%s: %d of %d queries have no match in the gallery and are not scored: %s (such as %s)",
        stage,
        len(lost),
        len(query),
        cause,
        example,
    )


def check_held_out(manifest: Manifest, bags: Bags, val_rows: NDArray[np.int64], val_classes: NDArray[np.int32]) -> None:
    """Refuses bags that hold or name identities held out for validation.

    Args:
        manifest: The images.
        bags: The training bags.
        val_rows: Manifest rows of the held-out identities, ascending, `(V,)`.
        val_classes: Their class indices.

    Raises:
        DataError: The bags do.
    """
    if not len(val_rows):
        return
    images, named = bags.count_inside(val_rows), bags.count_naming(val_classes)
    if images or named:
        raise DataError(
            f"the bag file {bags.path} holds {images} images of identities held out for validation and names such "
            f"identities {named} times. Set data.val_fraction 0, or leave data.bag_file out: the bags are then made "
            f"without these identities."
        )
