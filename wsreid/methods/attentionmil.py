"""Multiple-instance learning by attention, arXiv:1802.04712."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from wsreid.data.batch import BagBatch
from wsreid.data.needs import Needs
from wsreid.errors import ConfigError
from wsreid.losses import attention_bag_loss
from wsreid.methods.base import Method
from wsreid.methods.outputs import BagOutputs


class BagAttention(nn.Module):
    """Scores each image for each candidate of its bag: w_c' tanh(V h), or w_c' (tanh(V h) * sigmoid(U h)).

    Args:
        width: Length D of a feature h.
        num_ids: Classes C, each with a query w_c.
        hidden: Length H of a query.
        gated: Whether there is a gate U.
    """

    def __init__(self, width: int, num_ids: int, hidden: int, gated: bool) -> None:
        super().__init__()
        self.content = nn.Linear(width, hidden)
        self.gate = nn.Linear(width, hidden) if gated else None
        self.queries = nn.Parameter(torch.empty(num_ids, hidden))  # (C, H)
        nn.init.normal_(self.queries, std=0.01)  # at first all images of a bag count about the same

    def forward(self, features: Tensor, candidates: Tensor) -> Tensor:
        """Scores before the softmax.

        Args:
            features: `(N, D)`.
            candidates: Class indices of each image's bag, `(N, L)`, padded with -1.

        Returns:
            `(N, L)`; of no meaning at padding.
        """
        features = features.to(self.queries.dtype)
        hidden = self.content(features).tanh()  # (N, D) -> (N, H)
        if self.gate is not None:
            hidden = hidden * self.gate(features).sigmoid()  # (N, H)
        asked = self.queries[candidates.clamp(min=0)]  # (N, L) -> (N, L, H)
        return torch.einsum("nlh,nh->nl", asked, hidden)  # (N, L, H), (N, H) -> (N, L)


class AttentionMIL(Method):
    """A bag's feature for a candidate is an attention-weighted mean of its images', and must be classified as that.

    Ilse, Tomczak, Welling, "Attention-based Deep Multiple Instance Learning", arXiv:1802.04712; our implementation:

        a_ic = softmax_{i in b} w_c' (tanh(V h_i) * sigmoid(U h_i))
        L    = -(1/B) sum_b (1/|S_b|) sum_{c in S_b} log softmax(W sum_{i in b} a_ic h_i)_c

    h is what the classifier W reads. The source has one label and one attention w for a bag. A bag label of several
    identities needs one attention for each, so each class has a query w_c of its own here (ours): C x H parameters for
    each head, which learn at `lr * classifier_lr_factor`. They are used in training alone: the test feature is the
    network's. With several heads, each has its own attention and the loss is their mean. Nothing is gathered over
    processes. Where the batch holds a sample of a bag, the attention is over the sample.

    Args:
        gated: With the gate sigmoid(U h), or plain.
        hidden: H, the length of a query.
        base: See `Method`.

    Raises:
        ConfigError: An option out of range.
    """

    needs: ClassVar[Needs] = Needs(whole_bags=True)

    search_space: ClassVar[Mapping[str, Sequence[object]]] = MappingProxyType(
        {"lr": (1e-3, 2e-3, 4e-3), "gated": (True, False), "hidden": (64, 128), "classifier_lr_factor": (1.0, 4.0)}
    )

    def __init__(self, gated: bool = True, hidden: int = 128, **base: Any) -> None:  # noqa: ANN401
        super().__init__(**base)
        if hidden < 1:
            raise ConfigError(f"hidden must be at least 1, got {hidden}")
        self.gated = gated
        self.hidden = hidden
        self.attention = nn.ModuleList(
            BagAttention(width, self.num_ids, hidden, gated) for width in self.network.head_dims
        )

    def losses(self, batch: BagBatch, outputs: BagOutputs) -> dict[str, Tensor]:
        """The term "ce"."""
        candidates = batch.image_candidates  # (N, L)
        heads = [
            attention_bag_loss(logits, attention(features, candidates), batch.bag, batch.candidates)
            for attention, features, logits in zip(self.attention, outputs.network.heads, outputs.logits, strict=True)
        ]
        return {"ce": torch.stack(heads).mean()}
