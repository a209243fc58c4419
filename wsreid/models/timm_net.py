"""A timm body with pooling and a neck: the strong baseline's network for any backbone."""

from typing import cast

import torch
from torch import Tensor, nn

from wsreid.errors import ConfigError
from wsreid.models.neck import Neck, make_neck
from wsreid.models.network import EmbeddingNet, NetworkOutput
from wsreid.models.pooling import Pooling, make_pooling
from wsreid.models.timm_body import TimmBody, ends_in_map, low_level_stage


class TimmNet(EmbeddingNet):
    """A timm body, spatial pooling, and the BNNeck of Bag of Tricks (arXiv:1903.07071).

    Bodies that end in a map are pooled here; what timm's head does behind its own pooling (a norm, a hidden layer)
    still follows. Bodies that end in tokens are pooled by timm's head: class token, or mean of the tokens.

    Args:
        body: See `create_body`.
        name: The body's name, for messages.
        pooling: "gem" needs a body that ends in a map.
        neck: "bnneck", or "none": then head, metric and test feature are one tensor.

    Raises:
        ConfigError: GeM was asked for and the body ends in tokens.
    """

    def __init__(self, body: TimmBody, name: str, pooling: Pooling = "avg", neck: Neck = "bnneck") -> None:
        dim = body.head_hidden_size
        super().__init__((dim,), dim)
        if pooling == "gem" and not ends_in_map(body):
            raise ConfigError(f"backbone {name!r} ends in tokens, not in a map that GeM could pool: set pooling to avg")
        self.name = name
        self.body = cast("nn.Module", body)
        self.pooling = make_pooling(pooling)
        self.neck = make_neck(neck, dim)
        self._low_level_stage = low_level_stage(body)
        self._channels_last = getattr(body, "output_fmt", "NCHW") == "NHWC"

    def forward(self, images: Tensor) -> NetworkOutput:
        """Embed images (N, 3, H, W).

        Raises:
            ConfigError: The body does not take images of that size.
        """
        body = cast("TimmBody", self.body)
        try:
            final, stages = body.forward_intermediates(images, indices=[self._low_level_stage])
        except (AssertionError, RuntimeError) as error:
            own_size = cast("tuple[int, int, int]", body.pretrained_cfg["input_size"])
            free = not body.pretrained_cfg.get("fixed_input_size") or tuple(images.shape[1:]) == own_size
            if free or isinstance(error, torch.OutOfMemoryError):
                raise
            raise ConfigError(
                f"backbone {self.name!r} does not take images of {images.shape[2]}x{images.shape[3]} pixels ({error}); "
                f"set data.height and data.width to a size that it takes, such as {own_size[1]}x{own_size[2]}"
            ) from error
        low_level = stages[0].mean(dim=(2, 3))  # (N, L, H/4, W/4) -> (N, L)
        metric = body.forward_head(self._pool(final), pre_logits=True).flatten(1)  # -> (N, D)
        head = self.neck(metric)  # (N, D)
        return NetworkOutput(features=head.float(), heads=(head,), metric=(metric,), low_level=low_level)

    def _pool(self, final: Tensor) -> Tensor:
        if final.dim() != 4:
            return final  # (N, tokens, C), pooled by the body's head
        if self._channels_last:
            final = final.permute(0, 3, 1, 2)  # (N, H, W, C) -> (N, C, H, W)
        pooled: Tensor = self.pooling(final)  # (N, C, H, W) -> (N, C, 1, 1)
        return pooled.permute(0, 2, 3, 1) if self._channels_last else pooled  # the format that the body's head reads
