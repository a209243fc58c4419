"""Multiple-instance learning with co-person attention, arXiv:2007.10631."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor

from wsreid.data.batch import BagBatch
from wsreid.data.needs import Needs
from wsreid.errors import ConfigError
from wsreid.losses import co_person_attention_loss, pooled_bag_loss
from wsreid.methods.base import Method
from wsreid.methods.option_ranges import not_negative
from wsreid.methods.outputs import BagOutputs


class CPAL(Method):
    """The bag's label against pooled logits, and agreement of bag pairs on who an identity is that both name.

    Wang et al., "Learning Person Re-identification Models from Videos with Weak Supervision", arXiv:2007.10631 (TIP
    2021); settings from a third party's re-implementation, not the paper. Our implementation:

        L_mil  = bag cross entropy, a bag's score for class c being the mean of its ceil(share n_b) largest z_ic
        A_ic   = softmax_{i in b} z_ic,   H_c = sum_i A_ic f_i,   L_c = sum_i (1 - A_ic) / (n_b - 1) f_i,   d = 1 - cos
        L_cpal = mean over bags u, v and shared c of
                 1/2 [d(H_u, H_v) - d(H_u, L_v) + margin]_+ + 1/2 [d(H_u, H_v) - d(L_u, H_v) + margin]_+
        L      = (1 - pair_weight) L_mil + pair_weight L_cpal

    f is what the classifier reads. With several heads, each has its own terms, and the loss is their mean.

    Batches hold pairs of bags that share a label, where the data has any: where no two bags share one (random bags of
    one chunk per identity), the sampler says so, L_cpal is 0 and L_mil trains alone. Pairs are those of one process; a
    bag with one image at hand is in none. Where the batch holds a sample of a bag, pool and attention are over it.

    Args:
        pair_weight: Weight of L_cpal, in [0, 1]; the rest is L_mil's.
        share: Share of a bag's images that the pooling takes, in (0, 1].
        margin: Margin of L_cpal.
        base: See `Method`.

    Raises:
        ConfigError: An option out of range.
    """

    needs: ClassVar[Needs] = Needs(whole_bags=True, shared_label_pairs=True)

    search_space: ClassVar[Mapping[str, Sequence[object]]] = MappingProxyType(
        {"lr": (1e-3, 2e-3, 4e-3), "pair_weight": (0.2, 0.5, 0.8), "share": (0.125, 0.25), "margin": (0.3, 0.5)}
    )

    def __init__(
        self,
        pair_weight: float = 0.5,
        share: float = 0.25,
        margin: float = 0.5,
        **base: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**base)
        if not 0 <= pair_weight <= 1:
            raise ConfigError(f"pair_weight must be in [0, 1], got {pair_weight}")
        if not 0 < share <= 1:
            raise ConfigError(f"share must be above 0 and at most 1, got {share}")
        not_negative(margin=margin)
        self.pair_weight = pair_weight
        self.share = share
        self.margin = margin

    def losses(self, batch: BagBatch, outputs: BagOutputs) -> dict[str, Tensor]:
        """The terms "mil" and "coperson", weighted."""
        mil, pairs = [], []
        for logits, features in zip(outputs.logits, outputs.network.heads, strict=True):
            mil.append(pooled_bag_loss(logits, batch.bag, batch.candidates, "topk", "ce", self.share))
            pairs.append(co_person_attention_loss(logits, features, batch.bag, batch.candidates, self.margin))
        return {
            "mil": (1 - self.pair_weight) * torch.stack(mil).mean(),
            "coperson": self.pair_weight * torch.stack(pairs).mean(),
        }
