"""The gallery that `python -m wsreid search` looks in: features, and what is known of each image."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsreid.cli.predict_shards import FEATURES, weights_hash
from wsreid.cli.search_options import SearchOptions
from wsreid.data.images import ImageLocation, UnreadableImage, read_image
from wsreid.data.manifest import Manifest
from wsreid.errors import ConfigError, DataError, FeatureError, WsreidError
from wsreid.retrieval.feature_files import FeatureFile, read_features
from wsreid.retrieval.shard_index import INDEX_FILE, ShardIndex
from wsreid.tracking.answer import Hit
from wsreid.tracking.loaded_run import LoadedRun
from wsreid.tracking.run_folder import CONFIG_FILE, run_of_checkpoint


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


def open_gallery(run: LoadedRun, options: SearchOptions) -> Gallery:
    """Opens the features, once it is known that the run's network made them where that can be known.

    Args:
        run: The run.
        options: Which features.

    Returns:
        The gallery.

    Raises:
        ConfigError: There are none yet, or another network made them.
        FeatureError: They are damaged, or there is none.
        DataError: The manifest is not the one that the rows are of.
    """
    path = options.gallery or _own_gallery(run)
    origin: Mapping[str, str] = {}
    if (path / INDEX_FILE).is_file():
        origin = ShardIndex.read(path).origin
        _check_origin(run, path, origin)
    file = read_features(path)
    if len(file.pid) == 0:
        raise FeatureError(f"{path} holds no features: there is nothing to search in.")
    width = run.method.network.feature_dim
    if file.features.shape[1] != width:
        raise ConfigError(
            f"{path}: its features have {file.features.shape[1]} dimensions, those of {run.checkpoint} have {width}: "
            "they must come from the same network."
        )
    if options.manifest is not None:
        manifest = Manifest.open(options.manifest, options.root, "Name another manifest.")
        _check_rows(file, manifest)
        return Gallery(file, manifest, None)
    known, note = _manifest_of(run, origin)
    return Gallery(file, known, note, numbered=bool(origin))


def predict_command(run: LoadedRun) -> str:
    """The command that makes a run's gallery features."""
    short = _inside(run) and run.checkpoint.stem in ("last", "best")
    name = run.checkpoint.stem if short else str(run.checkpoint)
    words = ["python", "-m", "wsreid", "predict", "--config", str(run.path / CONFIG_FILE), "--run", str(run.path)]
    return shlex.join([*words, "--ckpt_path", name])


def _inside(run: LoadedRun) -> bool:
    """Whether the checkpoint is one of the run's own."""
    own = run_of_checkpoint(run.checkpoint)
    return own is not None and own.path.absolute() == run.path.absolute()


def _own_folder(run: LoadedRun) -> Path:
    """Where `predict` writes the gallery of this checkpoint, as `choose_run` has it."""
    folder = run.path / f"predict-{run.checkpoint.stem}" if _inside(run) else run.path
    return folder / FEATURES / "gallery"


def _own_gallery(run: LoadedRun) -> Path:
    path = _own_folder(run)
    if not (path / INDEX_FILE).is_file():
        raise ConfigError(
            f"{path}: there are no gallery features yet. Make them with: {predict_command(run)}\n"
            "Or name a file of features with --gallery FILE."
        )
    return path


def _check_origin(run: LoadedRun, path: Path, origin: Mapping[str, str]) -> None:
    """Refuses features of another network: scores between two networks mean nothing."""
    init = run.config["model"]["init_args"]
    size = run.config["data"]["init_args"]
    now = {name: json.dumps(value) for name, value in init.items()} | {
        "weights": weights_hash(run.method.state_dict()),  # not the option of this name, the file of the start
        "image": f"{size['height']}x{size['width']}",
        "method": str(run.config["model"]["class_path"]),
    }
    other = [
        f"{name} {value[:12]} (now {now[name][:12]})"
        for name, value in origin.items()
        if name in now and value != now[name]
    ]
    if other:
        raise ConfigError(
            f"{path} was made by another network than {run.checkpoint}: {', '.join(other)}. {_remedy(run, path)}"
        )


def _remedy(run: LoadedRun, path: Path) -> str:
    own = _own_folder(run)
    if path.resolve() == own.resolve():
        return f"Remove the folder {path.parent} and make the features anew: {predict_command(run)}"
    if (own / INDEX_FILE).is_file():
        return f"Leave --gallery out to search {own}, which `predict` wrote for this run."
    return f"Make this run's features, then leave --gallery out: {predict_command(run)}"


def _manifest_of(run: LoadedRun, origin: Mapping[str, str]) -> tuple[Manifest | None, str | None]:
    """The run's manifest if the features' rows are its rows, else why paths and images are not known."""
    if "data" not in origin:
        return None, "Paths and images are not known: name the manifest that the rows are of with --manifest FILE."
    try:
        manifest = run.data.manifest
    except WsreidError as error:
        told = str(error).replace("load_run(..., root=DIR)", "--root DIR")  # what it is called here
        return None, f"Paths and images are not shown: {told}"
    if manifest.hash != origin["data"]:
        return None, (
            "Paths and images are not shown: the features are of another data set than the run's. Name its manifest "
            "with --manifest FILE."
        )
    return manifest, None


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
