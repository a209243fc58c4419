"""A network that was trained before, whole from its file: what another one may learn from."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from wsreid.errors import WeightsError
from wsreid.file_hash import file_hash
from wsreid.models.build import build_network
from wsreid.models.neck import Neck
from wsreid.models.network import EmbeddingNet
from wsreid.models.pooling import Pooling
from wsreid.models.published import Size, read_published
from wsreid.models.weights import find_weights, is_run_checkpoint

_Channels = tuple[float, float, float]
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """A frozen network, and how images are prepared for it. No module: who keeps it neither trains nor saves it.

    Attributes:
        network: It, in evaluation mode, without gradient.
        mean: Of the channels, for normalisation.
        std: Their standard deviation.
        size: Height and width that images are resized to; None = they are taken as they come.
        path: Its file.
        sha256: Hash of the file.
    """

    network: EmbeddingNet
    mean: _Channels
    std: _Channels
    size: Size | None
    path: Path
    sha256: str

    @torch.no_grad()
    def embed(self, images: Tensor) -> Tensor:
        """Embeds, where the images are.

        Args:
            images: `(N, 3, H, W)` uint8.

        Returns:
            `(N, D)` float32, not normalised.
        """
        self.network.to(images.device)
        mean, std = (torch.tensor(values, device=images.device).view(3, 1, 1) for values in (self.mean, self.std))
        scaled = (images.float() / 255 - mean) / std
        if self.size is not None and self.size != tuple(images.shape[-2:]):
            scaled = F.interpolate(scaled, self.size, mode="bilinear", antialias=True)  # (N, 3, H, W) -> (N, 3, h, w)
        features: Tensor = self.network(scaled.contiguous(memory_format=torch.channels_last)).features
        return features.float()


def read_trained(name: str, backbone: str | None = None, size: Size | None = None) -> TrainedNetwork:
    """Reads a network from its file alone: a run's checkpoint, or another project's.

    Args:
        name: See `find_weights`.
        backbone: The network, where the file does not tell it: a file of timm's keys, or OSNet's.
        size: Height and width that it wants; None = those that the file's format tells, or any.

    Returns:
        The network.

    Raises:
        WeightsError: The file is missing, damaged, of no known format, or does not fit the network.
        ConfigError: There is no such backbone.
    """
    path = find_weights(name)
    mean, std = _MEAN, _STD
    if backbone is not None:
        network = build_network(backbone, weights=str(path))
    elif is_run_checkpoint(str(path)):
        network, mean, std = _of_run(path)
    else:
        found = read_published(str(path), "embedding")
        network, mean, std = found.network, found.mean, found.std
        size = size or found.size
    network.to(memory_format=torch.channels_last)
    return TrainedNetwork(network.requires_grad_(False).eval(), mean, std, size, path, file_hash(path))


def _of_run(path: Path) -> tuple[EmbeddingNet, _Channels, _Channels]:
    content: object = torch.load(path, map_location="cpu", weights_only=True)
    options = content.get("hyper_parameters") if isinstance(content, Mapping) else None
    if not isinstance(options, Mapping) or "backbone" not in options:
        raise WeightsError(f"weights {path} are of a run, and do not say of which network: name its backbone too.")
    network = build_network(
        str(options["backbone"]),
        weights=str(path),
        last_stride=int(options["last_stride"]),
        pooling=cast("Pooling", options["pooling"]),
        neck=cast("Neck", options["neck"]),
    )
    return network, _three(options["mean"]), _three(options["std"])


def _three(values: list[float]) -> _Channels:
    first, second, third = map(float, values)
    return first, second, third
