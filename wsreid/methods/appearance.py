"""What the graph model's kernel compares."""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from wsreid.data.batch import BagBatch
from wsreid.methods.outputs import BagOutputs

Kernel = Literal["layer1", "rgb", "embedding"]
"""The pooled output of the first stage, a colour thumbnail, or the L2-normalised test feature."""

_THUMBNAIL = (8, 4)


def appearance_of(kernel: Kernel, batch: BagBatch, outputs: BagOutputs) -> Tensor:
    """The appearance features of a batch, with their gradient.

    Args:
        kernel: "layer1" as the official code, not normalised; "rgb" in [0, 1]; "embedding". The last two are ours.
        batch: The batch.
        outputs: Its forward pass.

    Returns:
        `(N, G)` floating point.
    """
    if kernel == "layer1":
        return outputs.network.low_level  # (N, L)
    if kernel == "embedding":
        return F.normalize(outputs.network.features, dim=1)  # (N, D)
    pixels = batch.images[0].float() / 255  # (V, N, 3, H, W) -> (N, 3, H, W)
    return F.adaptive_avg_pool2d(pixels, _THUMBNAIL).flatten(1)  # (N, 3, 8, 4) -> (N, 96)
