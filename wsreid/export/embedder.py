"""The part of a method that embeds images, alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wsreid.export.recipe import Recipe
from wsreid.models import EmbeddingNet


class Embedder(nn.Module):
    """Resized images in, features out: normalisation, network and mirror image in one graph.

    Args:
        network: The network; it is put into evaluation mode.
        recipe: How images are prepared.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: EmbeddingNet, recipe: Recipe) -> None:
        super().__init__()
        self.network = network
        self._flip = recipe.flip_test
        self.register_buffer("mean", torch.tensor(recipe.mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(recipe.std).view(3, 1, 1), persistent=False)
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """Embeds.

        Args:
            images: `(N, 3, H, W)` uint8, RGB, resized to the recipe's size.

        Returns:
            `(N, D)` float32, not normalised.
        """
        scaled = (images.to(torch.float32) / 255 - self.mean) / self.std
        features: Tensor = self.network(scaled).features
        if self._flip:
            features = features + self.network(scaled.flip(3)).features
        return features
