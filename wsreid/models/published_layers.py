"""Layers of published person re-ID networks that timm's ResNet lacks: IBN, the non-local block, GeM of fixed power."""

import torch
from torch import Tensor, nn

from wsreid.models.pooling import GeM


class IBN(nn.Module):
    """IBN-a (Pan et al., arXiv:1807.09441): instance normalisation of one half of the channels, batch of the other.

    Args:
        channels: Even.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.channels = [half, channels - half]
        self.IN = nn.InstanceNorm2d(half, affine=True)
        self.BN = nn.BatchNorm2d(channels - half)

    def forward(self, maps: Tensor) -> Tensor:
        """Normalise maps (N, C, H, W)."""
        first, second = torch.split(maps, self.channels, dim=1)  # (N, C, H, W) -> 2 x (N, C/2, H, W)
        return torch.cat([self.IN(first), self.BN(second)], dim=1)  # -> (N, C, H, W)


class NonLocal(nn.Module):
    """The non-local block (Wang et al., arXiv:1711.07971) in its dot-product form, as fast-reid's AGW and SBS have it.

    y = x + BN(W_z (theta(x) phi(x)^T / P) g(x)) over the P positions of the map.

    Args:
        channels: C of the map.
        inner: Channels of theta, phi and g: 1 in fast-reid's released models.
    """

    def __init__(self, channels: int, inner: int = 1) -> None:
        super().__init__()
        self.g = nn.Conv2d(channels, inner, 1)
        self.theta = nn.Conv2d(channels, inner, 1)
        self.phi = nn.Conv2d(channels, inner, 1)
        self.W = nn.Sequential(nn.Conv2d(inner, channels, 1), nn.BatchNorm2d(channels))

    def forward(self, maps: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        g, theta, phi = (layer(maps).flatten(2) for layer in (self.g, self.theta, self.phi))  # 3 x (N, I, P)
        # (theta^T phi) g^T = theta^T (phi g^T): the I x I product spares the P x P one
        related = torch.einsum("nip,nij->njp", theta, phi @ g.transpose(1, 2)) / g.shape[2]  # (N, I, P)
        added: Tensor = self.W(related.unflatten(2, maps.shape[2:]))  # (N, I, P) -> (N, I, H, W) -> (N, C, H, W)
        return maps + added


class FixedGeM(GeM):
    """GeM whose power 3 is no parameter, so that a state dict does not hold it."""

    def __init__(self) -> None:
        super().__init__()
        power = self.p.detach()
        del self.p
        self.register_buffer("p", power, persistent=False)
