"""Manifest and bags of a data set: made once, kept in the cache folder, found by every later process."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wsreid.data.bag_settings import BagSettings
from wsreid.data.bags import Bags
from wsreid.data.cache import build_once, cache_dir
from wsreid.data.make_bags import make_bags
from wsreid.data.manifest import Manifest, Split, write_manifest
from wsreid.data.seeding import stream
from wsreid.data.sources.base import Source
from wsreid.data.sources.sysu30k import SYSU30k

_log = logging.getLogger(__name__)

_MANIFEST_REMEDY: Final = "Delete it: it is made again from the data set."
_BAGS_REMEDY: Final = "Delete the bag file: it is made again from the data set."


def prepared_manifest(source: Source, root: Path, name: str) -> Manifest:
    """The manifest of a data set, indexed anew if its folders have changed.

    Args:
        source: Reader of the data set.
        root: The data set's folder; nothing is written into it.
        name: Name of the data set, for the cache folder.

    Raises:
        DataError: The data set is missing or not laid out as the source expects.
    """
    root = root.absolute()
    key = _key(str(root), source.fingerprint(root))
    path = cache_dir() / "manifests" / f"{name}-{key}" / "manifest.arrow"

    def build(partial: Path) -> None:
        _log.info("indexing %s", root)
        records = source.index(root)  # first: it may make the folder of the images
        write_manifest(partial, records, source=source.name, root=source.image_root(root))

    return Manifest.open(build_once(path, build), remedy=_MANIFEST_REMEDY)


def prepared_bags(
    manifest: Manifest, settings: BagSettings, held_out: NDArray[np.int64], label_file: Path | None
) -> Bags:
    """The bags of a data set, made if there are none yet with these settings and rows.

    Args:
        manifest: The images.
        settings: How the bags are made.
        held_out: Manifest rows of the training split that no bag may hold, `(V,)`.
        label_file: SYSU-30k's bag_level_label.json, or None.

    Raises:
        DataError: See `make_bags`.
    """
    labels = hashlib.sha256(label_file.read_bytes()).hexdigest() if label_file is not None else ""
    held = hashlib.sha256(held_out.tobytes()).hexdigest()
    key = _key(json.dumps(dataclasses.asdict(settings)), manifest.hash, labels, held)
    folder = cache_dir() / "bags" / f"{manifest.source}-{manifest.hash[:12]}"

    def build(partial: Path) -> None:
        make_bags(manifest, settings, rows_to_train_on(manifest, held_out), label_file=label_file).write(partial)

    return Bags.open(build_once(folder / f"{settings.protocol}-{key}.arrow", build), _BAGS_REMEDY)


def bag_label_file(manifest: Manifest, source: Source, settings: BagSettings) -> Path | None:
    """Where a data set keeps the labels of its bags.

    Args:
        manifest: The data set.
        source: What would read it where the manifest does not say that SYSU-30k's does.
        settings: The bags.

    Returns:
        The file; None = there is none, or the protocol reads none.
    """
    if settings.protocol != "sysu":
        return None
    if manifest.source == SYSU30k.name:
        return SYSU30k().bag_label_file(manifest.root)
    return source.bag_label_file(manifest.root) if source.name == manifest.source else None


def rows_to_train_on(manifest: Manifest, held_out: NDArray[np.int64]) -> NDArray[np.int64]:
    """The training split's rows without some of them, ascending."""
    rows = manifest.rows(Split.TRAIN)
    if not len(held_out):
        return rows
    return np.delete(rows, held_out - manifest.row_range(Split.TRAIN).start)


def sampled_rows(rows: NDArray[np.int64], limit: int | None, seed: int, epoch: int) -> NDArray[np.int64]:
    """At most `limit` of some manifest rows `(N,)`, drawn anew for each epoch, ascending; None = all of them."""
    if limit is None or len(rows) <= limit:
        return rows
    return np.sort(stream("rows of an epoch", seed, epoch).choice(rows, limit, replace=False, shuffle=False))


def _key(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
