"""Making the bags of a data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsreid.data.bag_draft import BagDraft
from wsreid.data.bag_noise import add_noise
from wsreid.data.bag_settings import BagSettings
from wsreid.data.bags import Bags
from wsreid.data.manifest import Manifest
from wsreid.data.manifest_format import count_known
from wsreid.data.protocols import random_bags, sysu_bags, window_bags
from wsreid.data.records import pieces
from wsreid.data.seeding import stream
from wsreid.errors import DataError


def make_bags(
    manifest: Manifest,
    settings: BagSettings,
    train_rows: NDArray[np.int64],
    *,
    label_file: Path | None = None,
    epoch: int = 0,
) -> Bags:
    """Puts training images into bags.

    Args:
        manifest: The images.
        settings: Protocol, noise and seed.
        train_rows: The rows to put into bags, ascending, `(N,)`: those of the training split without the identities
            held out for validation.
        label_file: SYSU-30k's bag_level_label.json, for the protocol `sysu`; None = sliding windows.
        epoch: Part of the seed, where bags are drawn anew for each epoch.

    Returns:
        The bags, in memory.

    Raises:
        DataError: There is no training image, the protocol needs something that the data set does not know, or the
            label file is broken or names no bag whose folders are all there.
    """
    if not len(train_rows):
        raise DataError(f"{manifest.source}: there is no training image to put into bags")
    draft = add_noise(
        _draft(manifest, settings, train_rows, label_file, epoch),
        missing=settings.missing,
        extra=settings.extra,
        unknown=settings.unknown,
        seed=settings.seed,
        epoch=epoch,
    )
    return Bags.from_draft(draft, settings, manifest.hash)


def _draft(
    manifest: Manifest, settings: BagSettings, rows: NDArray[np.int64], label_file: Path | None, epoch: int
) -> BagDraft:
    if settings.protocol == "sysu":
        return _sysu(manifest, settings, rows, label_file)
    classes = manifest.class_index(manifest.pid[rows]).astype(np.int64)
    if len(unknown := rows[classes < 0]):
        raise DataError(
            f"{manifest.source}: data.bags.protocol {settings.protocol} needs the identity of each training image, but "
            f"{len(unknown)} of {len(rows)} have none (the first is {manifest.file(int(unknown[0]))}). "
            f"A data set without image-level truth, like SYSU-30k, needs data.bags.protocol sysu."
        )
    if settings.protocol == "windows":
        return _windows(manifest, settings, rows, classes)
    return random_bags(
        rows,
        classes,
        ids_per_bag=settings.ids_per_bag,
        images_per_id=settings.images_per_id,
        rng=stream("bags: random", settings.seed, epoch),
        unbalanced=settings.unbalanced,
        overlap=settings.overlap,
        noise=stream("bags: chunks", settings.seed, epoch),
    )


def _windows(
    manifest: Manifest, settings: BagSettings, rows: NDArray[np.int64], classes: NDArray[np.int64]
) -> BagDraft:
    camera, frame = manifest.camera[rows], manifest.frame[rows]
    for name, known in (("camera", camera >= 0), ("frame", frame >= 0)):
        if not known.all():
            row = int(rows[np.flatnonzero(~known)[0]])
            raise DataError(
                f"{manifest.source}: data.bags.protocol windows needs the {name} of each training image, but "
                f"{manifest.file(row)} has none. Use data.bags.protocol random."
            )
    return window_bags(
        rows,
        classes,
        camera.astype(np.int64),
        manifest.sequence[rows].astype(np.int64),
        frame,
        window=settings.window,
        window_frames=settings.window_frames,
        overlap=settings.overlap,
    )


def _sysu(manifest: Manifest, settings: BagSettings, rows: NDArray[np.int64], label_file: Path | None) -> BagDraft:
    # Rows without a gap are looked at in place: SYSU-30k has 29 million of them.
    gapless = int(rows[-1]) - int(rows[0]) + 1 == len(rows)
    span = slice(int(rows[0]), int(rows[-1]) + 1) if gapless else rows
    folder = manifest.sequence[span]
    stray = any(np.any(manifest.class_index(np.unique(piece)) < 0) for piece in pieces(folder))
    if stray or count_known(manifest.pid[span]):
        raise DataError(
            f"{manifest.source}: data.bags.protocol sysu needs training folders named after the training identities "
            f"and images without one of their own, as SYSU-30k has them. Use data.bags.protocol random or windows."
        )
    return sysu_bags(rows, folder, manifest.identities, label_file=label_file, widths=settings.sysu_widths)
