"""The gallery that `python -m wsreid search` looks in: features, and what is known of each image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsreid.cli.search_network import SearchNetwork
from wsreid.cli.search_options import SearchOptions
from wsreid.data.images import ImageLocation, UnreadableImage, read_image
from wsreid.data.manifest import Manifest
from wsreid.errors import ConfigError, DataError, FeatureError
from wsreid.retrieval.feature_files import FeatureFile, read_features
from wsreid.retrieval.shard_index import INDEX_FILE, ShardIndex
from wsreid.tracking.answer import Hit


@dataclass(frozen=True, eq=False)
class Gallery:
    """Features with what is known of their images.

    Attributes:
        file: Features, identities, cameras and rows.
        manifest: The data set that the rows are of; None = not known.
        note: Why paths and images are not shown; None = they are.
        numbered: Whether identities are a manifest's numbers rather than what the data set calls people.
    """

    file: FeatureFile
    manifest: Manifest | None
    note: str | None
    numbered: bool = False

    def hit(self, rank: int, place: int, score: float, exact_rank: int | None) -> Hit:
        """What is known of an image that was found.

        Args:
            rank: Its place in the list, from 1.
            place: Its place in the features.
            score: How alike it is.
            exact_rank: Its place in the exact list.

        Returns:
            The hit.
        """
        row, pid = int(self.file.row[place]), int(self.file.pid[place])
        camera = -1 if self.file.camera is None else int(self.file.camera[place])
        identity = None if pid == -1 else self._identity(pid)
        path = None if self.manifest is None else str(self.manifest.location(row))
        return Hit(rank, score, row, identity, None if camera == -1 else camera, path, exact_rank)

    def _identity(self, pid: int) -> str:
        if self.manifest is not None:
            return self.manifest.pid_name(pid)
        # rows of a manifest that is not at hand: its numbers are no names, and a name may be another one's number
        return f"number {pid}" if self.numbered else str(pid)

    def image(self, hit: Hit) -> NDArray[np.uint8] | None:
        """The image of a hit, RGB, `(H, W, 3)`; None = it is gone."""
        if self.manifest is None:
            return None
        try:
            return read_image(self.manifest.location(hit.row))
        except UnreadableImage:
            return None

    def shown(self, hit: Hit) -> str:
        """The path of a hit relative to the data set's folder, as a table has room for."""
        if self.manifest is None:
            return "-"
        where = self.manifest.location(hit.row)
        return str(ImageLocation(where.path.relative_to(self.manifest.root), where.offset, where.size))


def open_gallery(network: SearchNetwork, options: SearchOptions) -> Gallery:
    """Opens the features, once it is known that the network made them where that can be known.

    Args:
        network: What embeds the images that are searched for.
        options: Which features.

    Returns:
        The gallery.

    Raises:
        ConfigError: There are none yet, another network made them, or they are normalised by camera.
        FeatureError: They are damaged, or there is none.
        DataError: The manifest is not the one that the rows are of.
    """
    path = options.gallery or network.own_gallery()
    origin: Mapping[str, str] = {}
    if (path / INDEX_FILE).is_file():
        origin = ShardIndex.read(path).origin
        network.check_origin(path, origin)
        if "camera_norm" in origin:
            raise ConfigError(
                f"{path} was made with camera_norm ({origin['camera_norm']}), and an image that is searched for has no "
                "camera to normalise by: make features without it, with --camera_norm.mode none and another --run."
            )
    file = read_features(path)
    if len(file.pid) == 0:
        raise FeatureError(f"{path} holds no features: there is nothing to search in.")
    width = network.feature_dim
    if file.features.shape[1] != width:
        raise ConfigError(
            f"{path}: its features have {file.features.shape[1]} dimensions, those of {network.file} have {width}: "
            "they must come from the same network."
        )
    if options.manifest is not None:
        manifest = Manifest.open(options.manifest, options.root, "Name another manifest.")
        _check_rows(file, manifest)
        return Gallery(file, manifest, None)
    known, note = network.manifest_of(origin)
    return Gallery(file, known, note, numbered=bool(origin))


def _check_rows(file: FeatureFile, manifest: Manifest) -> None:
    if int(file.row.min()) < 0 or int(file.row.max()) >= len(manifest):
        raise DataError(
            f"{manifest.path} has {len(manifest):,} rows, and {file.path} names rows {int(file.row.min())} to "
            f"{int(file.row.max())}: it is another manifest."
        )
    different = np.flatnonzero(manifest.take("pid", file.row) != file.pid)
    if len(different):
        place = different[0]
        raise DataError(
            f"{manifest.path} knows other identities than {file.path}, such as of row {file.row[place]}: it is another "
            "manifest, or the features name no rows of it."
        )
