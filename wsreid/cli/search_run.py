"""A run's network as that of `python -m wsreid search`, and the features that `predict` wrote for it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsreid.cli.predict_shards import FEATURES
from wsreid.cli.search_network import UNKNOWN
from wsreid.cli.search_options import SearchOptions
from wsreid.data.manifest import Manifest
from wsreid.errors import ConfigError, WsreidError
from wsreid.methods.transfer import EXPORTED_FROM
from wsreid.models.weights_hash import weights_hash
from wsreid.retrieval.features import Metric
from wsreid.retrieval.shard_index import INDEX_FILE
from wsreid.tracking.loaded_run import Image, load_run
from wsreid.tracking.run_folder import CONFIG_FILE, run_of_checkpoint


class RunNetwork:
    """A run's network.

    Args:
        options: Run, checkpoint, and where its data set is.

    Raises:
        DataError: It is no run folder, or a file in it is missing or damaged.
    """

    def __init__(self, options: SearchOptions) -> None:
        assert options.run is not None
        self._run = load_run(options.run, checkpoint=options.checkpoint, root=options.root)
        self._run.method  # noqa: B018  # made when it is first asked for

    @property
    def file(self) -> Path:
        """The checkpoint."""
        return self._run.checkpoint

    @property
    def feature_dim(self) -> int:
        """Width D of its features."""
        return self._run.method.network.feature_dim

    @property
    def metric(self) -> Metric:
        """The similarity of the run's test.

        Raises:
            ConfigError: The run's configuration names none that there is.
        """
        metric = (self._run.config.get("retrieval") or {}).get("metric", "cosine")
        if metric == "cosine":
            return "cosine"
        if metric == "dot":
            return "dot"
        if metric == "euclidean":
            return "euclidean"
        raise ConfigError(f"{self._run.path}: retrieval.metric is {metric!r}, which is none. Name one with --metric.")

    def embed(self, images: Sequence[Image]) -> NDArray[np.float32]:
        """Features `(N, D)` of RGB images of any size."""
        return self._run.embed(images)

    def own_gallery(self) -> Path:
        """Where `predict` has written the gallery of this checkpoint.

        Raises:
            ConfigError: It has not.
        """
        path = self._own_folder
        if not (path / INDEX_FILE).is_file():
            raise ConfigError(
                f"{path}: there are no gallery features yet. Make them with: {self._predict()}\n"
                "Or name a file of features with --gallery FILE."
            )
        return path

    def check_origin(self, path: Path, origin: Mapping[str, str]) -> None:
        """See `SearchNetwork`; features of a file that was exported from these weights are the run's own."""
        init = self._run.config["model"]["init_args"]
        size = self._run.config["data"]["init_args"]
        now = {name: json.dumps(value) for name, value in init.items()} | {
            "weights": weights_hash(
                self._run.method.state_dict()
            ),  # not the option of this name, the file of the start
            "image": f"{size['height']}x{size['width']}",
            "method": str(self._run.config["model"]["class_path"]),
        }
        if origin.get(EXPORTED_FROM) == now["weights"]:
            return
        other = [
            f"{name} {value[:12]} (now {now[name][:12]})"
            for name, value in origin.items()
            if name in now and value != now[name]
        ]
        if other:
            raise ConfigError(
                f"{path} was made by another network than {self.file}: {', '.join(other)}. {self._remedy(path)}"
            )

    def manifest_of(self, origin: Mapping[str, str]) -> tuple[Manifest | None, str | None]:
        """The run's manifest if the features' rows are its rows, else why paths and images are not known."""
        if "data" not in origin:
            return None, UNKNOWN
        try:
            manifest = self._run.data.manifest
        except WsreidError as error:
            told = str(error).replace("load_run(..., root=DIR)", "--root DIR")  # what it is called here
            return None, f"Paths and images are not shown: {told}"
        if manifest.hash != origin["data"]:
            return None, (
                "Paths and images are not shown: the features are of another data set than the run's. Name its "
                "manifest with --manifest FILE."
            )
        return manifest, None

    @property
    def _inside(self) -> bool:
        """Whether the checkpoint is one of the run's own."""
        own = run_of_checkpoint(self.file)
        return own is not None and own.path.absolute() == self._run.path.absolute()

    @property
    def _own_folder(self) -> Path:
        """Where `predict` writes the gallery of this checkpoint, as `choose_run` has it."""
        folder = self._run.path / f"predict-{self.file.stem}" if self._inside else self._run.path
        return folder / FEATURES / "gallery"

    def _predict(self) -> str:
        """The command that makes the run's gallery features."""
        name = self.file.stem if self._inside and self.file.stem in ("last", "best") else str(self.file)
        run = self._run.path
        words = ["python", "-m", "wsreid", "predict", "--config", str(run / CONFIG_FILE), "--run", str(run)]
        return shlex.join([*words, "--ckpt_path", name])

    def _remedy(self, path: Path) -> str:
        own = self._own_folder
        if path.resolve() == own.resolve():
            return f"Remove the folder {path.parent} and make the features anew: {self._predict()}"
        if (own / INDEX_FILE).is_file():
            return f"Leave --gallery out to search {own}, which `predict` wrote for this run."
        return f"Make this run's features, then leave --gallery out: {self._predict()}"
