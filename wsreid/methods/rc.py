"""The risk-consistent partial-label loss, arXiv:2007.08929."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor

from wsreid.data.batch import BagBatch
from wsreid.losses import weighted_candidate_cross_entropy
from wsreid.methods.outputs import BagOutputs
from wsreid.methods.tabled import TabledMethod


class RC(TabledMethod):
    """Cross entropy to weights over the candidates, taken from the network as it is after each step.

    Feng et al., "Provably Consistent Partial-Label Learning", arXiv:2007.08929; our implementation:

        L    = -(1/N) sum_i sum_{c in S_i} w_ic log p_ic      w uniform on S_i at first
        w_ic <- p_ic [c in S_i] / sum_{c' in S_i} p_ic'       by the network after the optimiser's step

    The weights come from a second forward pass over the batch, without gradient, by the network that the step has just
    changed: it costs about a third of a step, and is all that sets RC apart from `PRODEN`. As the source does, that
    pass is in training mode, so running statistics of batch normalisation move twice in a step. With gradient
    accumulation all batches of a step are passed over after it. With several heads the loss is the mean over them, and
    p the mean of their softmaxes over the candidates (ours). Pseudo labels: see `TabledMethod`.

    Args:
        base: See `Method`.
    """

    search_space: ClassVar[Mapping[str, Sequence[object]]] = MappingProxyType(
        {"lr": (1e-3, 2e-3, 4e-3), "classifier_lr_factor": (1.0, 2.0, 4.0), "warmup_epochs": (1, 3)}
    )

    def __init__(self, **base: Any) -> None:  # noqa: ANN401
        super().__init__(**base)
        self._stepped: list[BagBatch] = []  # what the next step of the optimiser is made of

    def losses(self, batch: BagBatch, outputs: BagOutputs) -> dict[str, Tensor]:
        """The term "ce"."""
        self._stepped.append(batch)
        candidates = batch.image_candidates  # (N, L)
        weights = self.table.take(batch.member, candidates)  # (N, L)
        heads = [weighted_candidate_cross_entropy(logits, candidates, weights) for logits in outputs.logits]
        return {"ce": torch.stack(heads).mean()}

    def after_step(self) -> None:
        """Writes the table from the network after the step."""
        super().after_step()
        for batch in self._stepped:
            with torch.no_grad(), self.trainer.precision_plugin.forward_context():
                after = self.outputs(batch)
            self.table.put(batch.member, self.softmax(batch, after))
        self._stepped.clear()
