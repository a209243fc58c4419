"""The lower line: each image gets its bag's whole label."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from wsreid.data.batch import BagBatch
from wsreid.data.needs import Needs
from wsreid.losses import candidate_binary_cross_entropy, candidate_cross_entropy
from wsreid.methods.base import Method
from wsreid.methods.outputs import BagOutputs

_LOSSES = {"ce": candidate_cross_entropy, "bce": candidate_binary_cross_entropy}


class BagCE(Method):
    """Cross entropy to the bag label copied to each of the bag's images; no source, the plainest weak baseline.

    "ce" spreads the target evenly over the candidates, `-(1/N) sum_i sum_{c in S_i} (1/|S_i|) log p_ic`; "bce" asks
    each class whether it is a candidate, `sum_c BCE(sigmoid(z_ic), [c in S_i])`. With several heads, their mean.

    Args:
        loss: "ce" or "bce".
        base: See `Method`.
    """

    needs: ClassVar[Needs] = Needs()
    search_space: ClassVar[Mapping[str, Sequence[object]]] = MappingProxyType(
        {"lr": (1e-3, 2e-3, 4e-3), "loss": ("ce", "bce"), "warmup_epochs": (1, 3)}
    )

    def __init__(self, loss: Literal["ce", "bce"] = "ce", **base: Any) -> None:  # noqa: ANN401
        super().__init__(**base)
        self.loss = loss

    def losses(self, batch: BagBatch, outputs: BagOutputs) -> dict[str, Tensor]:
        """One term, named after the loss."""
        candidates = batch.image_candidates  # (N, L)
        heads = [_LOSSES[self.loss](logits, candidates) for logits in outputs.logits]
        return {self.loss: torch.stack(heads).mean()}
