"""Spatial pooling: from a convolutional map to one vector per horizontal zone."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Pooling = Literal["avg", "gem"]


class AvgPool(nn.Module):
    """Average over each of `zones` equal horizontal stripes."""

    def forward(self, maps: Tensor, zones: int = 1) -> Tensor:
        """Pool maps (N, C, H, W) to (N, C, zones, 1)."""
        return F.adaptive_avg_pool2d(maps, (zones, 1))  # (N, C, H, W) -> (N, C, zones, 1)


class GeM(nn.Module):
    """Generalised mean with a learnable power (Radenović et al., arXiv:1711.02512, eq. 3).

    f = (mean over positions of max(x, eps)^p)^(1/p): p = 1 is the average of the positive part, p -> inf the maximum.

    Args:
        p: Starting power, one for all channels.
        eps: Floor below which activations are lifted, so that the power has a gradient.
    """

    def __init__(self, p: float = 3.0, eps: float = 1e-6) -> None:
        super().__init__()
        self.p = nn.Parameter(torch.tensor([p]))
        self.eps = eps

    def forward(self, maps: Tensor, zones: int = 1) -> Tensor:
        """Pool maps (N, C, H, W) to (N, C, zones, 1)."""
        # Half precision cannot hold x^p of large activations: the powers are taken in float32.
        powered = maps.float().clamp(min=self.eps).pow(self.p.float())
        pooled = F.adaptive_avg_pool2d(powered, (zones, 1))  # (N, C, H, W) -> (N, C, zones, 1)
        return pooled.pow(1.0 / self.p.float()).to(maps.dtype)


def make_pooling(pooling: Pooling) -> AvgPool | GeM:
    """Build the pooling of that name."""
    return GeM() if pooling == "gem" else AvgPool()
