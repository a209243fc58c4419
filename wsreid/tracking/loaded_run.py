"""A finished or running run in Python: its files, its data, and its network, ready to embed images."""

from __future__ import annotations

import argparse
import copy
import os
import pickle
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from jsonargparse import ArgumentParser
from numpy.typing import NDArray

from wsreid.class_paths import allowing, denied, refused
from wsreid.data.bags import Bags
from wsreid.data.batch import BagBatch
from wsreid.data.datamodule import BagDataModule
from wsreid.data.dataset import BagDataset
from wsreid.data.images import ImageLocation, read_image
from wsreid.data.samplers.plan import plan_of_bags
from wsreid.data.transforms import EvalTransform
from wsreid.errors import ConfigError, DataError, WsreidError
from wsreid.methods.base import Method
from wsreid.retrieval.result import RetrievalResult
from wsreid.torn import torn
from wsreid.tracking.checkpoint_file import previous_of
from wsreid.tracking.recorded_run import RecordedRun, read_run
from wsreid.tracking.run_folder import CONFIG_FILE, RunFolder

if TYPE_CHECKING:
    import pandas as pd

Image = NDArray[np.uint8]
_Kind = TypeVar("_Kind")


class LoadedRun:
    """A run folder as objects; each is made when it is first asked for.

    Args:
        recorded: What was read of the folder.
        checkpoint: The checkpoint's file.
        root: Where the data set is now; None = where it was.
        device: Where the network computes.
        allow: Packages, besides the suite's own, that its configuration may name classes of.
    """

    def __init__(
        self,
        recorded: RecordedRun,
        checkpoint: Path,
        root: Path | None,
        device: torch.device,
        allow: Sequence[str] = (),
    ) -> None:
        self.recorded = recorded
        self.checkpoint = checkpoint
        self.device = device
        self._root = root
        self._allow = tuple(allow)

    def __repr__(self) -> str:
        return f"LoadedRun({self.path}, {self.recorded.method}, {self.checkpoint.name})"

    @property
    def path(self) -> Path:
        """The folder."""
        return self.recorded.path

    @property
    def config(self) -> Mapping[str, Any]:
        """Its resolved configuration, as plain values."""
        return self.recorded.config

    @property
    def metrics(self) -> pd.DataFrame:
        """metrics.csv: a row each time that something was logged, columns `epoch`, `step` and a metric each."""
        return self.recorded.metrics

    @property
    def diagnostics(self) -> pd.DataFrame:
        """diagnostics.csv: what the labels did, a row for each epoch and group of bags; see docs/diagnostics.md."""
        return self.recorded.diagnostics

    @property
    def result(self) -> RetrievalResult:
        """Its test: figures, the rank of each match, ranked lists.

        Raises:
            DataError: It has not ended with a test.
            FeatureError: The file is damaged.
        """
        found = self.recorded.retrieval
        if found is None:
            raise DataError(f"{self.path}: there is no retrieval.npz: the run has not ended with a test.")
        return found

    @cached_property
    def data(self) -> BagDataModule:
        """Its data set: manifest, images, test rows. Rendered and indexed anew where the cache folder lacks it.

        Raises:
            DataError: The data set is missing, or it is not the one that the run learned from.
        """
        config = copy.deepcopy(dict(self.config["data"]))
        if self._root is not None:
            config["init_args"]["root"] = str(self._root)
        with allowing(self._allow):
            data = _instance(BagDataModule, "data", config, {}, self.path)
        data.run_seed = self.recorded.seed
        self._check_hash("data", data.manifest.hash)
        return data

    @cached_property
    def bags(self) -> Bags:
        """The training bags.

        Raises:
            DataError: See `data`; or the bags are not those that the run learned from.
        """
        bags = self.data.bags
        self._check_hash("bags", self.data.hashes["bags"])
        return bags

    @cached_property
    def method(self) -> Method:
        """The method with the weights, and the labels it remembers, of the checkpoint; in evaluation mode.

        Raises:
            DataError: The checkpoint is missing, damaged, or does not fit the configuration.
        """
        content = _checkpoint(self.checkpoint)
        config = copy.deepcopy(dict(self.config["model"]))
        # The checkpoint replaces the weights that the run started from, whose file may be gone.
        config["init_args"] |= {"weights": None, "pretrained": False}
        with allowing(self._allow):
            method = _instance(Method, "model", config, {"num_ids": content["hyper_parameters"]["num_ids"]}, self.path)
        try:
            method.load_state_dict(content["state_dict"])
        except RuntimeError as error:
            told = " ".join(str(error).split())[:300]
            raise DataError(f"{self.checkpoint} does not fit {self.path / CONFIG_FILE} ({told}).") from error
        method.on_load_checkpoint(content)
        return method.to(self.device).eval()

    @torch.no_grad()
    def embed(self, images: Sequence[Image | str | os.PathLike[str]], batch_size: int = 64) -> NDArray[np.float32]:
        """Features of images, as the run's test computes them.

        Args:
            images: Files, or RGB images `(H, W, 3)` uint8, of any size.
            batch_size: Images at a time.

        Returns:
            `(N, D)`, not normalised; similarity is their cosine unless the run says otherwise (`result.definition`).

        Raises:
            ConfigError: There is no image, or one is no RGB image.
            DataError: A file is missing or damaged, or the checkpoint is.
        """
        if isinstance(images, (str, os.PathLike)) or not len(images):
            raise ConfigError("embed takes a list of images or files, with at least one in it.")
        resize = EvalTransform(*self._size)
        features = []
        for start in range(0, len(images), batch_size):
            batch = torch.stack([resize(_image(each)) for each in images[start : start + batch_size]])  # (N, 3, H, W)
            features.append(self.method.embed(batch.to(self.device)).cpu().numpy())  # (N, 3, H, W) -> (N, D)
        return np.concatenate(features)

    def bag_batch(self, bag: int) -> BagBatch:
        """A whole training bag, its images undistorted: what `method.outputs` and `method.pseudo_labels` take.

        Args:
            bag: Which, in 0..len(bags) - 1.

        Returns:
            The batch, on the run's device. Where the checkpoint's labels are of other bags, the method forgets them.

        Raises:
            ConfigError: There is no such bag.
            DataError: Its images cannot be read.
        """
        if not 0 <= bag < len(self.bags):
            raise ConfigError(f"there is no bag {bag}: the run has {len(self.bags)}.")
        self.method.forget_other_bags(self.data.hashes["bags"])
        plan = plan_of_bags(self.bags, [bag], [np.arange(self.bags.sizes[bag])], epoch=0)
        return BagDataset(self.data.manifest, EvalTransform(*self._size))[plan].to(self.device)

    @property
    def checkpoints(self) -> list[str]:
        """Names of its checkpoints, as `load_run` takes them, ascending."""
        return sorted(file.stem for file in RunFolder(self.path).checkpoints.glob("*.ckpt"))

    @property
    def _size(self) -> tuple[int, int]:
        init = self.config["data"]["init_args"]
        return int(init["height"]), int(init["width"])

    def _check_hash(self, name: str, found: str) -> None:
        expected = self.recorded.hashes.get(name)
        if expected is not None and expected != found:
            raise DataError(
                f"{self.path} learned from {name} with the hash {expected[:12]}, and these have the hash {found[:12]}: "
                "the data set has changed since, or it is another one. Name its folder: load_run(..., root=DIR)."
            )


def load_run(
    path: str | os.PathLike[str],
    *,
    checkpoint: str | os.PathLike[str] = "last",
    root: str | os.PathLike[str] | None = None,
    device: str | torch.device = "cpu",
    allow: Sequence[str] = (),
) -> LoadedRun:
    """Opens a run folder.

    Args:
        path: The folder.
        checkpoint: Name of a checkpoint in its folder `checkpoints`, such as `last` or `best`, or a file.
        root: Where the data set is now; None = where it was when the run learned from it.
        device: Where the network computes.
        allow: Packages whose classes its configuration may name besides the suite's own: importing one runs its code.

    Returns:
        The run: `config`, `metrics`, `diagnostics`, `result`, `data`, `bags`, `method`, `embed(images)`.

    Raises:
        DataError: It is no run folder, or a file in it is damaged.
    """
    recorded = read_run(Path(path))
    file = RunFolder(recorded.path).checkpoints / f"{checkpoint}.ckpt"
    where = file if file.is_file() or not Path(checkpoint).is_file() else Path(checkpoint)
    return LoadedRun(recorded, where, None if root is None else Path(root), torch.device(device), allow)


def _image(given: Image | str | os.PathLike[str]) -> Image:
    if isinstance(given, (str, os.PathLike)):
        return read_image(ImageLocation(Path(given)))
    if given.dtype != np.uint8 or given.ndim != 3 or given.shape[2] != 3:
        raise ConfigError(f"an image of shape {given.shape} and type {given.dtype}: expected (H, W, 3) uint8, RGB.")
    return given


def _checkpoint(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise DataError(
            f"{path}: there is no such checkpoint: the run has not finished an epoch, was no fit, or it is elsewhere."
        )
    if fault := torn(path):
        raise _damaged(path, fault)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, EOFError, pickle.UnpicklingError) as error:
        raise _damaged(path, str(error)) from error
    try:
        int(content["hyper_parameters"]["num_ids"]), content["state_dict"]
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(path, "it lacks what a run's checkpoint says of its network") from error
    return dict(content)


def _damaged(path: Path, why: str) -> DataError:
    before = previous_of(path)
    way_out = f" The checkpoint before it is there: name {before.stem} instead." if before.is_file() else ""
    return DataError(f"{path} is damaged, or no checkpoint of a run: {why}.{way_out}")


def _instance(kind: type[_Kind], name: str, config: dict[str, Any], more: dict[str, Any], run: Path) -> _Kind:
    """Makes what a configuration names by class and arguments."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(kind, name)
    config["init_args"] |= more
    try:
        made: _Kind = parser.instantiate(parser.parse_object({name: config}))[name]
    except (argparse.ArgumentError, ImportError, TypeError, ValueError) as error:
        if isinstance(error, WsreidError):
            raise
        if refusal := denied(str(error)):
            told = f"{refused(refusal)} In Python: load_run(..., allow=[...])."
            raise DataError(f"{run / CONFIG_FILE}: {told}") from error
        told = " ".join(str(error).split())
        raise DataError(
            f"{run / CONFIG_FILE}: no {name} can be made of it ({told[:300]}). It is of another version of wsreid, or "
            "names a class of your own: then start Python in the folder of its file."
        ) from error
    return made
