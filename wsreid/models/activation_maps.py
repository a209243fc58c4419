"""Where in an image an embedding comes from: how strong the last map is at each place."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wsreid.models.network import EmbeddingNet
from wsreid.models.pooling import AvgPool, GeM


@torch.no_grad()
def activation_maps(embed: Callable[[Tensor], Tensor], module: nn.Module, images: Tensor) -> Tensor | None:
    """Activation maps: the norm over the channels of the map that the network pools, as large as the image.

    As the activation-based attention of Zagoruyko and Komodakis (arXiv:1612.03928) with p = 2, before the square. A
    network of several branches gives the mean of theirs, each stretched to [0, 1] first.

    Args:
        embed: What embeds the images, by one of the networks of `module`; of several passes, such as that of the
            mirrored images, the first counts.
        module: A module that holds the network.
        images: `(N, 3, H, W)`, as `embed` takes them.

    Returns:
        `(N, H, W)` float32, each image's stretched to [0, 1], 0 where it is the same everywhere; None for a network
        that pools no map but tokens.
    """
    maps: list[Tensor] = []
    passes = 0

    def begins(*_: object) -> None:
        nonlocal passes
        passes += 1

    def keeps(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        # a branch that is pooled twice, whole and in stripes, counts once
        if passes == 1 and not any(inputs[0] is kept for kept in maps):
            maps.append(inputs[0])

    networks = [part for part in module.modules() if isinstance(part, EmbeddingNet)]
    pools = [part for network in networks for part in network.modules() if isinstance(part, (AvgPool, GeM))]
    hooks = [network.register_forward_pre_hook(begins) for network in networks]
    hooks += [pool.register_forward_pre_hook(keeps) for pool in pools]
    try:
        embed(images)
    finally:
        for hook in hooks:
            hook.remove()
    if not maps:
        return None
    size = (images.shape[-2], images.shape[-1])
    grown = [
        F.interpolate(_stretched(found.float().norm(dim=1))[:, None], size, mode="bilinear")[:, 0] for found in maps
    ]  # each (N, C, h, w) -> (N, h, w) -> (N, 1, H, W) -> (N, H, W)
    return _stretched(torch.stack(grown).mean(0))  # (K, N, H, W) -> (N, H, W)


def _stretched(maps: Tensor) -> Tensor:
    """Each map `(N, h, w)` from its least value to its greatest as 0 to 1."""
    least, greatest = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)  # (N, h, w) -> (N, 1, 1)
    span = greatest - least
    return torch.where(span > 0, (maps - least) / span.clamp(min=torch.finfo(maps.dtype).tiny), 0.0)
