"""ResNet-50 as person re-ID projects have built it: what differs between them is an option of one network."""

from dataclasses import dataclass
from typing import Literal, cast

from timm.models.resnet import Bottleneck
from torch import Tensor, nn

from wsreid.models.neck import BNNeck
from wsreid.models.network import EmbeddingNet, NetworkOutput
from wsreid.models.pooling import AvgPool, GeM
from wsreid.models.published_layers import IBN, FixedGeM, NonLocal
from wsreid.models.timm_body import create_body

BODY_DIM = 2048
NON_LOCAL_AFTER = {"2": (2, 3), "3": (3, 4, 5)}  # fast-reid, ResNet-50: blocks of layer2 and layer3 that one follows


@dataclass(frozen=True)
class ResNetBody:
    """What a project's ResNet-50 is.

    Attributes:
        last_stride: Stride of layer4.
        ibn: IBN-a in layer1 to layer3.
        non_local: fast-reid's non-local blocks.
        stem_relu: ReLU behind the first batch norm; Bag of Tricks has none there.
        ceil_pool: fast-reid's max-pooling: no padding, the last window rounded up.
        pooling: Average, GeM with the file's power, or GeM of power 3.
        fc: Width of a linear layer with batch norm and ReLU behind the pooling.
        neck: Batch norm before the classifier; its output is the feature.
    """

    last_stride: Literal[1, 2]
    ibn: bool = False
    non_local: bool = False
    stem_relu: bool = True
    ceil_pool: bool = False
    pooling: Literal["avg", "gem", "gem3"] = "avg"
    fc: int | None = None
    neck: bool = False


class PublishedResNet(EmbeddingNet):
    """ResNet-50 with pooling, and optionally a linear layer, a neck and a classifier.

    `features` are the embedding, or the logits with `classes`.

    Args:
        spec: What the project's network is.
        classes: Width of the classifier, with which logits are the test feature; None: there is none.
    """

    def __init__(self, spec: ResNetBody, classes: int | None = None) -> None:
        dim = spec.fc or BODY_DIM
        super().__init__((dim,), classes or dim)
        self.body = cast("nn.Module", create_body("resnet50", last_stride=spec.last_stride))
        if not spec.stem_relu:
            self.body.act1 = nn.Identity()
        if spec.ceil_pool:
            self.body.maxpool = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        if spec.ibn:
            for stage in (self.body.layer1, self.body.layer2, self.body.layer3):
                for block in cast("nn.Sequential", stage):
                    block.bn1 = IBN(cast("Bottleneck", block).conv1.out_channels)
        self.non_local = nn.ModuleDict()
        if spec.non_local:
            for name, after in NON_LOCAL_AFTER.items():
                width = 256 * 2 ** (int(name) - 1)
                self.non_local[name] = nn.ModuleList([NonLocal(width) for _ in after])
        self.pooling = {"avg": AvgPool, "gem": GeM, "gem3": FixedGeM}[spec.pooling]()
        layers = [nn.Linear(BODY_DIM, spec.fc), nn.BatchNorm1d(spec.fc), nn.ReLU()] if spec.fc else []
        self.fc = nn.Sequential(*layers)
        self.neck = BNNeck(dim) if spec.neck else nn.Identity()
        self.classifier = nn.Linear(dim, classes) if classes else nn.Identity()

    def forward(self, images: Tensor) -> NetworkOutput:
        """Embed images (N, 3, H, W)."""
        body = self.body
        maps = images
        for layer in (body.conv1, body.bn1, body.act1, body.maxpool):
            maps = cast("nn.Module", layer)(maps)  # -> (N, 64, H/4, W/4)
        maps = cast("nn.Module", body.layer1)(maps)  # -> (N, 256, H/4, W/4)
        low_level = maps.mean(dim=(2, 3))  # (N, 256, H/4, W/4) -> (N, 256)
        for name in ("2", "3", "4"):
            maps = self._stage(name, maps)  # -> (N, 2048, H/16, W/16), or half of that
        metric = self.fc(self.pooling(maps).flatten(1))  # (N, 2048, 1, 1) -> (N, 2048) -> (N, D)
        head = self.neck(metric)  # (N, D)
        features = self.classifier(head).float()  # (N, D), or (N, classes)
        return NetworkOutput(features=features, heads=(head,), metric=(metric,), low_level=low_level)

    def _stage(self, name: str, maps: Tensor) -> Tensor:
        after = NON_LOCAL_AFTER[name] if name in self.non_local else ()
        for index, block in enumerate(cast("nn.Sequential", getattr(self.body, f"layer{name}"))):
            maps = block(maps)
            if index in after:
                non_local = cast("nn.ModuleList", self.non_local[name])[after.index(index)]
                maps = non_local(maps)
        return maps
