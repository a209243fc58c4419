"""OSNet: the omni-scale network (Zhou et al., arXiv:1905.00953), built to read torchreid's checkpoints.

Module names are the keys of those checkpoints; the structure is the paper's (section 3).
"""

from typing import Final

import torch.nn.functional as F
from torch import Tensor, nn

from wsreid.models.neck import Neck, make_neck
from wsreid.models.network import EmbeddingNet, NetworkOutput
from wsreid.models.pooling import Pooling, make_pooling

# Channels after the stem and after stages conv2, conv3, conv4: the paper's times the width multiplier.
OSNET_WIDTHS: Final[dict[str, tuple[int, int, int, int]]] = {
    "osnet_x0_25": (16, 64, 96, 128),
    "osnet_x0_5": (32, 128, 192, 256),
    "osnet_x0_75": (48, 192, 288, 384),
    "osnet_x1_0": (64, 256, 384, 512),
    "osnet_ibn_x1_0": (64, 256, 384, 512),
}
INSTANCE_NORMALISED: Final = frozenset({"osnet_ibn_x1_0"})  # in the stem and behind each block of conv2
FEATURE_DIM: Final = 512
STREAMS: Final = 4  # the paper's T: receptive fields 3, 5, 7, 9
BOTTLENECK: Final = 4  # a block works on a quarter of its output channels
GATE_REDUCTION: Final = 16


class ConvBN(nn.Module):
    """Convolution and normalisation, by batch or by image, then ReLU unless it is the linear end of a branch."""

    def __init__(
        self, c_in: int, c_out: int, kernel: int = 1, stride: int = 1, *, relu: bool = True, instance: bool = False
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, kernel, stride, padding=kernel // 2, bias=False)
        self.bn = nn.InstanceNorm2d(c_out, affine=True) if instance else nn.BatchNorm2d(c_out)
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, c_in, H, W) to (N, c_out, H / stride, W / stride)."""
        y: Tensor = self.bn(self.conv(x))
        return F.relu(y, inplace=True) if self.relu else y


class LightConv(nn.Module):
    """The paper's Lite 3x3: a pointwise, then a depthwise 3x3 convolution, batch normalisation, ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        return F.relu(self.bn(self.conv2(self.conv1(x))), inplace=True)


class ChannelGate(nn.Module):
    """The unified aggregation gate: one weight per image and channel, the same network for every stream."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, channels // GATE_REDUCTION, 1)
        self.fc2 = nn.Conv2d(channels // GATE_REDUCTION, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Scale each channel of x (N, C, H, W)."""
        squeezed = F.adaptive_avg_pool2d(x, 1)  # (N, C, H, W) -> (N, C, 1, 1)
        weights: Tensor = self.fc2(F.relu(self.fc1(squeezed))).sigmoid()  # (N, C, 1, 1)
        return x * weights


class OSBlock(nn.Module):
    """The omni-scale residual block: streams of 1 to 4 Lite 3x3, y = ReLU(x + W sum_t G(x_t) * x_t).

    With `instance` the sum is normalised by image before the ReLU.
    """

    def __init__(self, c_in: int, c_out: int, *, instance: bool = False) -> None:
        super().__init__()
        mid = c_out // BOTTLENECK
        self.conv1 = ConvBN(c_in, mid)
        self.conv2a = LightConv(mid)
        self.conv2b = nn.Sequential(*(LightConv(mid) for _ in range(2)))
        self.conv2c = nn.Sequential(*(LightConv(mid) for _ in range(3)))
        self.conv2d = nn.Sequential(*(LightConv(mid) for _ in range(STREAMS)))
        self.gate = ChannelGate(mid)
        self.conv3 = ConvBN(mid, c_out, relu=False)
        self.downsample = ConvBN(c_in, c_out, relu=False) if c_in != c_out else None
        self.IN = nn.InstanceNorm2d(c_out, affine=True) if instance else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, c_in, H, W) to (N, c_out, H, W)."""
        shortcut = x if self.downsample is None else self.downsample(x)  # (N, c_out, H, W)
        y = self.conv1(x)  # (N, c_in, H, W) -> (N, c_out / 4, H, W)
        streams = (self.conv2a, self.conv2b, self.conv2c, self.conv2d)
        fused = sum((self.gate(stream(y)) for stream in streams[1:]), self.gate(streams[0](y)))
        return F.relu(self.IN(self.conv3(fused) + shortcut), inplace=True)  # (N, c_out / 4, H, W) -> (N, c_out, H, W)


def _stage(c_in: int, c_out: int, *, halve: bool, instance: bool = False) -> nn.Sequential:
    blocks: list[nn.Module] = [OSBlock(c_in, c_out, instance=instance), OSBlock(c_out, c_out, instance=instance)]
    if halve:
        blocks.append(nn.Sequential(ConvBN(c_out, c_out), nn.AvgPool2d(2, stride=2)))
    return nn.Sequential(*blocks)


class OSNet(EmbeddingNet):
    """OSNet with its 512-d feature layer; total stride 16, so its last stage has stride 1 as it is.

    `metric` is the output of the feature layer, and what torchreid uses at test and for its classifier; with
    `neck="none"` it is `features` and the head too. `low_level` is the average of the two blocks of conv2, before the
    transition: stride 4, as layer1 of a ResNet.

    Args:
        name: One of `OSNET_WIDTHS`.
        pooling: Pooling before the feature layer; the paper's is the average.
        neck: "bnneck" puts a BNNeck behind the feature layer.
    """

    def __init__(self, name: str, pooling: Pooling = "avg", neck: Neck = "bnneck") -> None:
        super().__init__((FEATURE_DIM,), FEATURE_DIM)
        stem, c2, c3, c4 = OSNET_WIDTHS[name]
        instance = name in INSTANCE_NORMALISED
        self.conv1 = ConvBN(3, stem, kernel=7, stride=2, instance=instance)
        self.conv2 = _stage(stem, c2, halve=True, instance=instance)
        self.conv3 = _stage(c2, c3, halve=True)
        self.conv4 = _stage(c3, c4, halve=False)
        self.conv5 = ConvBN(c4, c4)
        self.pooling = make_pooling(pooling)
        self.fc = nn.Sequential(nn.Linear(c4, FEATURE_DIM), nn.BatchNorm1d(FEATURE_DIM), nn.ReLU(inplace=True))
        self.neck = make_neck(neck, FEATURE_DIM)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> NetworkOutput:
        """Embed images (N, 3, H, W)."""
        x = F.max_pool2d(self.conv1(images), 3, stride=2, padding=1)  # (N, 3, H, W) -> (N, stem, H/4, W/4)
        x = self.conv2[1](self.conv2[0](x))  # -> (N, c2, H/4, W/4)
        low_level = x.mean(dim=(2, 3))  # (N, c2, H/4, W/4) -> (N, c2)
        x = self.conv3(self.conv2[2](x))  # -> (N, c3, H/16, W/16)
        x = self.conv5(self.conv4(x))  # -> (N, c4, H/16, W/16)
        embedding = self.fc(self.pooling(x).flatten(1))  # (N, c4, 1, 1) -> (N, c4) -> (N, 512)
        head = self.neck(embedding)  # (N, 512)
        return NetworkOutput(features=head.float(), heads=(head,), metric=(embedding,), low_level=low_level)
