"""What every network in the suite returns and offers."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class NetworkOutput:
    """What one forward pass of an embedding network gives.

    Attributes:
        features: The test feature (N, D) float32, not normalised.
        heads: One tensor (N, D_h) per head: what classifier h reads, after the neck.
        metric: One tensor (N, D_m) per metric feature, before the neck: what triplet losses read.
        low_level: Average-pooled output of the first stage (N, L), with its gradient.
    """

    features: Tensor
    heads: tuple[Tensor, ...]
    metric: tuple[Tensor, ...]
    low_level: Tensor


class EmbeddingNet(nn.Module, ABC):
    """Base of all networks: normalised images in, a `NetworkOutput` out.

    Args:
        head_dims: Width D_h of each head, in order: a method builds one classifier per entry.
        feature_dim: Width D of the test feature.
        metric_dims: Width D_m of each metric feature, in order; None: one for each head, as wide.
    """

    def __init__(
        self, head_dims: tuple[int, ...], feature_dim: int, metric_dims: tuple[int, ...] | None = None
    ) -> None:
        super().__init__()
        self.head_dims = head_dims
        self.feature_dim = feature_dim
        self.metric_dims = head_dims if metric_dims is None else metric_dims

    @abstractmethod
    def forward(self, images: Tensor) -> NetworkOutput:
        """Embed images.

        Args:
            images: Floating point (N, 3, H, W), normalised.

        Returns:
            Test feature, head inputs, metric features and low-level feature of each image.
        """
