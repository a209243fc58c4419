"""Multiple-instance learning by pooling the logits of a bag."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from wsreid.data.batch import BagBatch
from wsreid.data.needs import Needs
from wsreid.errors import ConfigError
from wsreid.losses import pooled_bag_loss
from wsreid.losses.mil_pooling import Pool
from wsreid.methods.base import Method
from wsreid.methods.outputs import BagOutputs


class MILPool(Method):
    """The bag label is the target of the bag's scores, which are pooled from its images' logits.

    Multiple-instance learning as in Wang et al., "Revisiting Multiple Instance Neural Networks", Pattern Recognition 74
    (2018), and work before it; the log-sum-exp's r and the noisy-or's form on logits are ours. For bag b with the
    candidates S_b and the scores s_bc = pool_{i in b} z_ic:

        ce   L = -(1/B) sum_b (1/|S_b|) sum_{c in S_b} log softmax(s_b)_c
        bce  L =  (1/B) sum_b sum_c BCE(sigmoid(s_bc), [c in S_b])

    Each bag counts once, whatever its size. With several heads, their mean. Nothing is gathered over processes.

    Where the batch holds a sample of a bag (`data.images_per_bag` below its size), the pool is over the sample, and the
    loss still asks each candidate to show in it; the k of "topk" follows from the images at hand.

    Args:
        pool: "max"; "mean"; "topk", the mean of the k largest, k = ceil(share n) of n images; "lse", (1/r) log of the
            mean of exp(r z); "noisyor", 1 - prod_i (1 - sigmoid(z_ic)). See `pool_bags`.
        loss: "ce" or "bce".
        share: Share of a bag's images that "topk" takes, in (0, 1]; 0.25 and 0.125 are usual.
        sharpness: r of "lse".
        base: See `Method`.

    Raises:
        ConfigError: An option out of range.
    """

    needs: ClassVar[Needs] = Needs(whole_bags=True)

    search_space: ClassVar[Mapping[str, Sequence[object]]] = MappingProxyType(
        {
            "lr": (1e-3, 2e-3, 4e-3),
            "pool": ("topk", "max", "lse", "noisyor"),
            "loss": ("ce", "bce"),
            "warmup_epochs": (1, 3),
        }
    )

    def __init__(
        self,
        pool: Pool = "topk",
        loss: Literal["ce", "bce"] = "ce",
        share: float = 0.25,
        sharpness: float = 5.0,
        **base: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**base)
        if not 0 < share <= 1:
            raise ConfigError(f"share must be above 0 and at most 1, got {share}")
        if sharpness <= 0:
            raise ConfigError(f"sharpness must be above 0, got {sharpness}")
        self.pool = pool
        self.loss = loss
        self.share = share
        self.sharpness = sharpness

    def losses(self, batch: BagBatch, outputs: BagOutputs) -> dict[str, Tensor]:
        """One term, named after the loss."""
        heads = [
            pooled_bag_loss(logits, batch.bag, batch.candidates, self.pool, self.loss, self.share, self.sharpness)
            for logits in outputs.logits
        ]
        return {self.loss: torch.stack(heads).mean()}
