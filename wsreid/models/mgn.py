"""MGN: the multiple granularity network (Wang et al., arXiv:1804.01438), as the graph model trains it."""

import copy
from typing import Final, cast

import torch
from timm.models.resnet import Bottleneck, ResNet
from torch import Tensor, nn

from wsreid.models.network import EmbeddingNet, NetworkOutput
from wsreid.models.pooling import Pooling, make_pooling
from wsreid.models.timm_body import flatten_last_stage

REDUCED_DIM: Final = 256
BRANCH_ZONES: Final = (1, 2, 3)  # stripes of each branch, besides its global zone
GLOBAL_ZONES: Final = len(BRANCH_ZONES)
HEADS: Final = GLOBAL_ZONES + sum(zones for zones in BRANCH_ZONES if zones > 1)


class MGN(EmbeddingNet):
    """Three branches over a shared ResNet trunk, read as one global zone each, two halves and three thirds.

    The trunk ends after layer3[0]; each branch has its own layer3[1:] and layer4. Branch 1 halves the map in layer4,
    branches 2 and 3 do not. Each of the 8 zones is pooled and reduced by 1x1 convolution, batch norm and ReLU to 256-d:
    these are the heads, in the order global 1-3, upper and lower half, upper to lower third. `metric` is the three
    global ones, `features` the concatenation of all eight, `low_level` the average of layer1.

    Args:
        body: A timm ResNet of bottleneck blocks without classifier, last stride 2; its weights start all branches.
            MGN's own is ResNet-50.
        pooling: Pooling of the zones: the official graph model's is the average.

    Raises:
        TypeError: The body is no ResNet of bottleneck blocks with at least two blocks in layer3.
    """

    def __init__(self, body: nn.Module, pooling: Pooling = "avg") -> None:
        super().__init__((REDUCED_DIM,) * HEADS, REDUCED_DIM * HEADS, (REDUCED_DIM,) * GLOBAL_ZONES)
        layer3 = cast("nn.Sequential", body.layer3) if isinstance(body, ResNet) else nn.Sequential()
        if not isinstance(body, ResNet) or len(layer3) < 2 or not isinstance(layer3[0], Bottleneck):
            raise TypeError("MGN needs a timm ResNet of bottleneck blocks with at least two blocks in layer3")
        strided = _last_stages(body, flat=False)
        unstrided = _last_stages(copy.deepcopy(body), flat=True)
        self.stem = nn.Sequential(body.conv1, body.bn1, body.act1, body.maxpool)
        self.layer1 = cast("nn.Module", body.layer1)
        self.trunk = nn.Sequential(cast("nn.Module", body.layer2), layer3[0])
        self.branches = nn.ModuleList([strided, unstrided, copy.deepcopy(unstrided)])
        self.pooling = make_pooling(pooling)
        self.reductions = nn.ModuleList([_reduction(body.num_features) for _ in range(HEADS)])

    def forward(self, images: Tensor) -> NetworkOutput:
        """Embed images (N, 3, H, W)."""
        first = self.layer1(self.stem(images))  # (N, 3, H, W) -> (N, 256, H/4, W/4)
        low_level = first.mean(dim=(2, 3))  # (N, 256, H/4, W/4) -> (N, 256)
        shared = self.trunk(first)  # -> (N, 1024, H/16, W/16)
        maps = [
            branch(shared) for branch in self.branches
        ]  # -> (N, 2048, H/32, W/32) once, (N, 2048, H/16, W/16) twice
        zones = [self.pooling(branch_map) for branch_map in maps]  # 3 x (N, 2048, 1, 1)
        for branch_map, count in zip(maps, BRANCH_ZONES, strict=True):
            if count > 1:
                zones.extend(self.pooling(branch_map, count).split(1, dim=2))  # (N, 2048, count, 1) -> (N, 2048, 1, 1)
        heads = tuple(
            reduction(zone).flatten(1)  # (N, 2048, 1, 1) -> (N, 256, 1, 1) -> (N, 256)
            for reduction, zone in zip(self.reductions, zones, strict=True)
        )
        features = torch.cat(heads, dim=1).float()  # 8 x (N, 256) -> (N, 2048)
        return NetworkOutput(features=features, heads=heads, metric=heads[:GLOBAL_ZONES], low_level=low_level)


def _last_stages(body: nn.Module, *, flat: bool) -> nn.Sequential:
    if flat:
        flatten_last_stage(body)
    return nn.Sequential(*cast("nn.Sequential", body.layer3)[1:], cast("nn.Module", body.layer4))


def _reduction(channels: int) -> nn.Sequential:
    conv = nn.Conv2d(channels, REDUCED_DIM, 1, bias=False)
    norm = nn.BatchNorm2d(REDUCED_DIM)
    nn.init.kaiming_normal_(conv.weight, mode="fan_in", nonlinearity="relu")
    nn.init.normal_(norm.weight, mean=1.0, std=0.02)
    return nn.Sequential(conv, norm, nn.ReLU())
