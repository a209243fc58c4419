"""The classifier-consistent partial-label loss, arXiv:2007.08929."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor

from wsreid.data.batch import BagBatch
from wsreid.data.needs import Needs
from wsreid.losses import classifier_consistent_loss
from wsreid.methods.base import Method
from wsreid.methods.outputs import BagOutputs


class CC(Method):
    """Asks the network to put its mass on the bag's candidates, and leaves it to it how they share.

    Feng et al., "Provably Consistent Partial-Label Learning", arXiv:2007.08929; our implementation:

        L = -(1/N) sum_i log sum_{c in S_i} p_ic

    It has no options and keeps nothing. Its gradient is PRODEN's with weights from the very same forward pass: the
    softmax over the candidates. Pseudo labels are that softmax, averaged over the heads; the loss is the mean over
    them.

    Args:
        base: See `Method`.
    """

    needs: ClassVar[Needs] = Needs()
    search_space: ClassVar[Mapping[str, Sequence[object]]] = MappingProxyType(
        {"lr": (1e-3, 2e-3, 4e-3), "classifier_lr_factor": (1.0, 2.0, 4.0), "warmup_epochs": (1, 3)}
    )

    def __init__(self, **base: Any) -> None:  # noqa: ANN401
        super().__init__(**base)

    def losses(self, batch: BagBatch, outputs: BagOutputs) -> dict[str, Tensor]:
        """The term "cc"."""
        heads = [classifier_consistent_loss(logits, batch.image_candidates) for logits in outputs.logits]
        return {"cc": torch.stack(heads).mean()}
