"""The leveraged weighted loss, arXiv:2106.05731."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor

from wsreid.data.batch import BagBatch
from wsreid.errors import ConfigError
from wsreid.losses import leveraged_weighted_loss
from wsreid.methods.outputs import BagOutputs
from wsreid.methods.tabled import TabledMethod


class LWS(TabledMethod):
    """A sigmoid loss per class, with a balance between candidates and all other classes.

    Wen et al., "Leveraged Weighted Loss for Partial Label Learning", arXiv:2106.05731; our implementation:

        L    = (1/N) sum_i [ sum_{c in S_i} w_ic s(z_ic) + b sum_{c not in S_i} v_ic s(-z_ic) ],   s(z) = 1 / (1 + e^z)
        w_ic <- p_ic / sum_{c' in S_i} p_ic'      uniform at first
        v_ic =  p_ic / sum_{c' not in S_i} p_ic'

    The source keeps both weights in a table, N x C, uniform at first, and refreshes it by a second forward pass after
    each step. Here the table holds w alone and is refreshed from the step's own pass, as in `PRODEN`, and v is that of
    the step (both ours: nothing is N x C but the logits, and no second pass is paid for).

    With several heads the loss is the mean over them, w that of the mean of their softmaxes over the candidates (ours).
    Pseudo labels: see `TabledMethod`.

    Args:
        leverage: b, the weight of the classes that are no candidates; the source tries 1 and 2.
        base: See `Method`.
    """

    search_space: ClassVar[Mapping[str, Sequence[object]]] = MappingProxyType(
        {"lr": (1e-3, 2e-3, 4e-3), "leverage": (1.0, 2.0), "classifier_lr_factor": (1.0, 4.0, 10.0)}
    )

    def __init__(self, leverage: float = 1.0, **base: Any) -> None:  # noqa: ANN401
        super().__init__(**base)
        if leverage < 0:
            raise ConfigError(f"leverage must not be negative, got {leverage}")
        self.leverage = leverage

    def losses(self, batch: BagBatch, outputs: BagOutputs) -> dict[str, Tensor]:
        """The term "lws"; writes the table."""
        candidates = batch.image_candidates  # (N, L)
        weights = self.table.take(batch.member, candidates)  # (N, L)
        heads = [
            leveraged_weighted_loss(logits, candidates, weights, outside_weight=self.leverage)
            for logits in outputs.logits
        ]
        self.table.put(batch.member, self.softmax(batch, outputs))
        return {"lws": torch.stack(heads).mean()}
