"""What stands between the metric feature and the classifier."""

from typing import Literal

from torch import Tensor, nn

Neck = Literal["bnneck", "none"]


class BNNeck(nn.Module):
    """Batch normalisation without a learnt bias (Luo et al., arXiv:1903.07071).

    The triplet loss reads the feature before it, the classifier and the test read the feature after it. In eval mode a
    fresh neck only divides by sqrt(1 + eps), so loaded weights rank exactly as they do without it.

    Args:
        dim: Width D of the feature.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm1d(dim)
        self.bn.bias.requires_grad_(False)

    def forward(self, features: Tensor) -> Tensor:
        """Normalise features (N, D)."""
        normalised: Tensor = self.bn(features)
        return normalised


def make_neck(neck: Neck, dim: int) -> BNNeck | nn.Identity:
    """Build the neck of that name for features (N, dim)."""
    return BNNeck(dim) if neck == "bnneck" else nn.Identity()
