"""Progressive identification of the true label among the candidates, arXiv:2002.08053."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor

from wsreid.data.batch import BagBatch
from wsreid.errors import ConfigError
from wsreid.losses import weighted_candidate_cross_entropy
from wsreid.methods.outputs import BagOutputs
from wsreid.methods.tabled import TabledMethod


class PRODEN(TabledMethod):
    """Cross entropy to a soft label over the candidates, which the network's own softmax refreshes in each step.

    Lv et al., "Progressive Identification of True Labels for Partial-Label Learning", arXiv:2002.08053; our
    implementation. Each member (a bag and an image in it) has a weight w_ic for each of its candidates S_i:

        L    = -(1/N) sum_i sum_{c in S_i} w_ic log p_ic        w uniform on S_i at first
        w_ic <- m w_ic + (1 - m) p_ic / sum_{c' in S_i} p_ic'   after the loss, from the same forward pass

    so an image is trained on what the network thought of it when it last saw it, an epoch ago; the source replaces the
    weights, m = 0. The hard limit of it is the graph model's unary term. An image in several bags has weights in each.
    With several heads the loss is the mean over them, and p the mean of their softmaxes over the candidates (ours).
    An image that was not drawn by bag (member = -1) has uniform weights always.

    Pseudo labels are w: what `TabledMethod` says, with the mixing of m > 0 in them.

    Args:
        momentum: m, the share of the old weights that stays, in [0, 1).
        base: See `Method`.
    """

    search_space: ClassVar[Mapping[str, Sequence[object]]] = MappingProxyType(
        {"lr": (1e-3, 2e-3, 4e-3), "momentum": (0.0, 0.5, 0.9), "warmup_epochs": (1, 3)}
    )

    def __init__(self, momentum: float = 0.0, **base: Any) -> None:  # noqa: ANN401
        super().__init__(**base)
        if not 0 <= momentum < 1:
            raise ConfigError(f"momentum must be in [0, 1), got {momentum}: with 1 the weights would stay uniform")
        self.momentum = momentum

    def losses(self, batch: BagBatch, outputs: BagOutputs) -> dict[str, Tensor]:
        """The term "ce"; writes the table."""
        candidates = batch.image_candidates  # (N, L)
        target = self.table.take(batch.member, candidates)  # (N, L)
        heads = [weighted_candidate_cross_entropy(logits, candidates, target) for logits in outputs.logits]
        seen = self.softmax(batch, outputs)  # (N, L)
        self.table.put(batch.member, self.momentum * target + (1 - self.momentum) * seen)
        return {"ce": torch.stack(heads).mean()}
