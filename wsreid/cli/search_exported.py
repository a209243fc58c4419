"""An exported file as the network of `python -m wsreid search`."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from wsreid.cli.search_network import UNKNOWN
from wsreid.data.manifest import Manifest
from wsreid.data.transforms import EvalTransform
from wsreid.errors import ConfigError, WeightsError
from wsreid.export.recipe import WEIGHTS, Recipe
from wsreid.methods.transfer import EXPORTED_FROM, Transfer
from wsreid.models.weights_hash import weights_hash
from wsreid.retrieval.features import Metric
from wsreid.tracking.loaded_run import Image


class ExportedNetwork:
    """An exported file.

    Args:
        file: The file.

    Raises:
        WeightsError: It is missing, damaged, or was not written by `python -m wsreid export`.
        ConfigError: A package that ONNX needs is missing.
    """

    metric: Final[Metric] = "cosine"

    def __init__(self, file: Path) -> None:
        if not file.is_file():  # else its name would be looked up in the folder of weights
            raise WeightsError(f"--model {file}: there is no such file. `python -m wsreid export RUN` writes one.")
        self.file = file
        self._method = Transfer(weights=str(file.absolute())).eval()

    @property
    def feature_dim(self) -> int:
        """Width D of its features."""
        return self._recipe.feature_dim

    @property
    def _recipe(self) -> Recipe:
        assert self._method.recipe is not None
        return self._method.recipe

    def embed(self, images: Sequence[Image]) -> NDArray[np.float32]:
        """Features `(N, D)` of RGB images of any size."""
        resize = EvalTransform(self._recipe.height, self._recipe.width)
        batch = torch.stack([resize(image) for image in images])  # (N, 3, H, W)
        features: NDArray[np.float32] = self._method.embed(batch).numpy()  # (N, 3, H, W) -> (N, D)
        return features

    def own_gallery(self) -> Path:
        """A file has no folder of features.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(
            f"--model {self.file}: name the features to search in with --gallery. Make them with: {self._predict()}, "
            "then --gallery OUT/features/gallery; features that `predict` wrote with its run are as good."
        )

    def check_origin(self, path: Path, origin: Mapping[str, str]) -> None:
        """See `SearchNetwork`: features of its run, and of another file that was exported from it, are its own."""
        run = self._recipe.run.get(WEIGHTS)
        made_by = origin.get("weights")
        itself = made_by == weights_hash(self._method.state_dict())
        if made_by is not None and not itself and origin.get(EXPORTED_FROM, made_by) != run:
            raise self._other(path, f"weights {made_by[:12]} (now {run[:12] if run else 'not recorded'})")
        now = {
            "image": f"{self._recipe.height}x{self._recipe.width}",
            **{name: json.dumps(getattr(self._recipe, name)) for name in ("flip_test", "mean", "std")},
        }
        for name, value in now.items():
            if origin.get(name) not in (None, "null") and not _same(value, origin[name]):
                raise self._other(path, f"{name} {origin[name]} (now {value})")

    def manifest_of(self, origin: Mapping[str, str]) -> tuple[Manifest | None, str | None]:
        """None is known: a file names no data set."""
        return None, UNKNOWN

    def _other(self, path: Path, what: str) -> ConfigError:
        return ConfigError(
            f"{path} was made by another network than {self.file}: {what}. Make its features with: {self._predict()}"
        )

    def _predict(self) -> str:
        words = ["python", "-m", "wsreid", "predict", "--model", "Transfer", "--model.weights", str(self.file)]
        words += ["--data.root", "ROOT", "--data.height", str(self._recipe.height)]
        return shlex.join([*words, "--data.width", str(self._recipe.width), "--run", "OUT"])


def _same(ours: str, theirs: str) -> bool:
    if ours == theirs:
        return True
    try:
        pairs = list(zip(json.loads(ours), json.loads(theirs), strict=True))
        return all(math.isclose(a, b, abs_tol=1e-6) for a, b in pairs)  # as many digits as an exported file keeps
    except (TypeError, ValueError):
        return False
