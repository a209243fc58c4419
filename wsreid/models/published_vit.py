"""TransReID (He et al., arXiv:2102.04378): a ViT whose patches may overlap, with camera embedding and jigsaw branch."""

from dataclasses import dataclass
from typing import Final, cast

import timm
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from wsreid.errors import ConfigError
from wsreid.models.neck import BNNeck
from wsreid.models.network import EmbeddingNet, NetworkOutput

PATCH: Final = 16
CAMERA_WEIGHT: Final = 3.0  # SIE_COE of all published configurations
LOCAL_PARTS: Final = 4
SHIFT: Final = 5
GROUPS: Final = 2
LOCAL_WEIGHT: Final = 0.25


@dataclass(frozen=True)
class ViTBody:
    """What a TransReID checkpoint holds.

    Attributes:
        timm_name: Of the model that has the same blocks.
        height: Of the training images.
        width: Of the training images.
        stride: Of the patches; below 16 they overlap.
        cameras: Cameras that the side information embedding knows; 0: there is none.
        jigsaw: The jigsaw patch module, whose features are concatenated with the global one.
    """

    timm_name: str
    height: int
    width: int
    stride: int
    cameras: int = 0
    jigsaw: bool = False


class TransReID(EmbeddingNet):
    """The feature before the neck, as TransReID's configurations test it.

    The cameras of other data are not those of the training: in place of an image's camera embedding stands the mean
    over the training cameras. With `jigsaw` the feature is the global one and a quarter of each of the four local ones.

    Args:
        spec: What the checkpoint holds.
    """

    def __init__(self, spec: ViTBody) -> None:
        vit = cast("VisionTransformer", timm.create_model(spec.timm_name, num_classes=0, img_size=(256, 128)))
        dim = vit.embed_dim
        super().__init__((dim,), dim * (1 + LOCAL_PARTS if spec.jigsaw else 1))
        self.spec = spec
        self.patch = nn.Conv2d(3, dim, PATCH, stride=spec.stride)
        positions = 1
        for length in (spec.height, spec.width):
            positions *= (length - PATCH) // spec.stride + 1
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + positions, dim))
        self.sie_embed = nn.Parameter(torch.zeros(spec.cameras, 1, dim)) if spec.cameras else None
        self.blocks = vit.blocks
        self.norm = vit.norm
        self.branches = nn.ModuleList()
        self.necks = nn.ModuleList([BNNeck(dim) for _ in range(1 + LOCAL_PARTS if spec.jigsaw else 1)])
        if spec.jigsaw:
            other = cast("VisionTransformer", timm.create_model(spec.timm_name, num_classes=0, depth=2))
            self.branches.extend([nn.Sequential(block, nn.LayerNorm(dim, eps=1e-6)) for block in other.blocks])

    def forward(self, images: Tensor) -> NetworkOutput:
        """Embed images (N, 3, H, W).

        Raises:
            ConfigError: They have another size than the training images.
        """
        size = (self.spec.height, self.spec.width)
        if tuple(images.shape[2:]) != size:
            raise ConfigError(
                f"TransReID's position embedding is of {size[0]}x{size[1]} images and these have "
                f"{images.shape[2]}x{images.shape[3]} pixels: set --data.height {size[0]} --data.width {size[1]}"
            )
        patches = self.patch(images).flatten(2).transpose(1, 2)  # (N, 3, H, W) -> (N, D, h, w) -> (N, P, D)
        low_level = patches.mean(dim=1)  # (N, P, D) -> (N, D)
        tokens = torch.cat([self.cls_token.expand(len(images), -1, -1), patches], dim=1)  # (N, 1 + P, D)
        tokens = tokens + self.pos_embed
        if self.sie_embed is not None:
            tokens = tokens + CAMERA_WEIGHT * self.sie_embed.mean(dim=0)  # (K, 1, D) -> (1, D)
        parts = self._parts(tokens)  # 1 or 5 x (N, D)
        features = torch.cat([parts[0], *(LOCAL_WEIGHT * part for part in parts[1:])], dim=1).float()
        head = self.necks[0](parts[0])
        return NetworkOutput(features=features, heads=(head,), metric=(parts[0],), low_level=low_level)

    def _parts(self, tokens: Tensor) -> list[Tensor]:
        if not self.spec.jigsaw:
            return [self.norm(self.blocks(tokens))[:, 0]]  # (N, 1 + P, D) -> (N, D)
        tokens = self.blocks[:-1](tokens)
        whole, local = self.branches
        found = [whole(tokens)[:, 0]]  # (N, 1 + P, D) -> (N, D)
        length = (tokens.shape[1] - 1) // LOCAL_PARTS
        patches = shuffled(tokens[:, 1:])
        for part in range(LOCAL_PARTS):
            group = patches[:, part * length : (part + 1) * length]  # (N, P', D) -> (N, P/4, D)
            found.append(local(torch.cat([tokens[:, :1], group], dim=1))[:, 0])  # (N, 1 + P/4, D) -> (N, D)
        return found


def shuffled(patches: Tensor) -> Tensor:
    """The order in which the jigsaw module deals patches into its parts (section 3.2 of the paper).

    The first `SHIFT` - 1 patches go to the end; then the first and the second half are interleaved. Where the number of
    patches is odd the last but one is repeated, as the official code does it.

    Args:
        patches: (N, P, D).

    Returns:
        (N, P, D), or (N, P + 1, D) where P is odd.
    """
    rolled = patches.roll(1 - SHIFT, dims=1)
    if rolled.shape[1] % GROUPS:
        rolled = torch.cat([rolled, rolled[:, -2:-1]], dim=1)
    count, length, dim = rolled.shape
    dealt = rolled.reshape(count, GROUPS, length // GROUPS, dim)  # (N, P, D) -> (N, 2, P/2, D)
    return dealt.transpose(1, 2).reshape(count, length, dim)  # (N, 2, P/2, D) -> (N, P/2, 2, D) -> (N, P, D)
