"""An exported file in the place of a network."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from wsreid.export.reading import ExportedModel
from wsreid.export.recipe import Recipe
from wsreid.file_hash import file_hash
from wsreid.models.network import EmbeddingNet, NetworkOutput


class ExportedNet(EmbeddingNet):
    """Resized images in, the file's features out: it normalises and adds the mirror image itself, and is not trained.

    Its state is the hash of the file: a graph has no weights that could be listed, and whoever compares the state of
    two networks must find two files different.

    Args:
        path: The file.

    Attributes:
        recipe: What the file says about itself.

    Raises:
        WeightsError: It is missing, damaged, or was not written by `python -m wsreid export`.
        ConfigError: A package that ONNX needs is missing.
    """

    file: Tensor

    def __init__(self, path: Path) -> None:
        model = ExportedModel(path)
        super().__init__((), model.recipe.feature_dim)
        self.recipe: Recipe = model.recipe
        self._path = path
        self._opened = {torch.device("cpu"): model}  # by device: a graph of torch.export is no module that moves
        digest = bytes.fromhex(file_hash(path))
        self.register_buffer("file", torch.tensor(list(digest), dtype=torch.uint8))  # (32,)

    def forward(self, images: Tensor) -> NetworkOutput:
        """Embeds.

        Args:
            images: `(N, 3, H, W)` uint8, of the recipe's size: not normalised.

        Returns:
            The features; heads and metric features are none, and the low-level feature is empty.

        Raises:
            WeightsError: The images have another size.
        """
        if images.device not in self._opened:
            self._opened = {images.device: ExportedModel(self._path, images.device)}
        features = self._opened[images.device].embed(images).to(images.device)  # (N, 3, H, W) -> (N, D)
        return NetworkOutput(features, (), (), features.new_empty(len(features), 0))
