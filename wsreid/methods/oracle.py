"""The upper line: full supervision, arXiv:1903.07071."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor

from wsreid.data.batch import BagBatch
from wsreid.data.needs import Needs
from wsreid.losses import batch_hard_triplet_loss, smoothed_cross_entropy
from wsreid.methods.base import Method
from wsreid.methods.option_ranges import below_one, not_negative
from wsreid.methods.outputs import BagOutputs


class Oracle(Method):
    """Bag of Tricks on the true identities: what bag labels are measured against.

    Luo et al., "Bag of Tricks and a Strong Baseline for Deep Person Re-identification", arXiv:1903.07071, section 3:
    cross entropy with label smoothing on the feature after the neck plus batch-hard triplet on the feature before it.
    Batches hold P identities x K images, drawn by the truth. With several heads each loss is the mean over them.

    Args:
        smoothing: Label smoothing.
        margin: Margin of the triplet loss.
        base: See `Method`.
    """

    needs: ClassVar[Needs] = Needs(truth=True, identity_batches=True)
    search_space: ClassVar[Mapping[str, Sequence[object]]] = MappingProxyType(
        {"lr": (1e-3, 2e-3, 4e-3), "smoothing": (0.0, 0.1), "margin": (0.3, 1.2)}
    )

    def __init__(self, smoothing: float = 0.1, margin: float = 0.3, **base: Any) -> None:  # noqa: ANN401
        super().__init__(**base)
        below_one(smoothing=smoothing)
        not_negative(margin=margin)
        self.smoothing = smoothing
        self.margin = margin

    def losses(self, batch: BagBatch, outputs: BagOutputs) -> dict[str, Tensor]:
        """The terms "ce" and "triplet"."""
        ids = batch.truth.ids  # (N,)
        ce = [smoothed_cross_entropy(logits, ids, self.smoothing) for logits in outputs.logits]
        triplet = [batch_hard_triplet_loss(features, ids, self.margin) for features in outputs.network.metric]
        return {"ce": torch.stack(ce).mean(), "triplet": torch.stack(triplet).mean()}
