"""The graph model's own losses and sampler, given the truth: what its labels cost it."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from wsreid.data.batch import BagBatch
from wsreid.data.needs import Needs
from wsreid.losses import batch_hard_triplet_loss, pairwise_loss, unary_loss
from wsreid.methods.base import Method
from wsreid.methods.option_ranges import above_zero, not_negative
from wsreid.methods.outputs import BagOutputs


class OracleBag(Method):
    """The official graph model with true identities in place of deduced ones; a line of ours, no source.

    Terms, weights and batches are those of the official code of arXiv:1904.03845 (`DGLOfficial`); the identity y_i
    that it deduces is the true one, and so are the triplet's positives and negatives:

        L_unary = (1/N)   sum_i  -log P_i[y_i]
        L_pair  = (1/N^2) sum_ij [y_i != y_j] exp(-|g_i - g_j|^2 / sigma) (-P_i . P_j)
        L_tri   = mean_i max(0, max_{j: y_j = y_i} d_ij - min_{j: y_j != y_i} d_ij + margin)
        L       = mean over heads of (L_unary + pair_weight L_pair) + triplet_weight * mean over features of L_tri

    With the truth at hand the median of the possible positives becomes the farthest true one (batch-hard,
    arXiv:1703.07737). Batches are whole bags, as for `DGLOfficial`, and hold what the bags hold: an identity that has
    one image in a batch is in no triplet. So the distance to `Oracle` is that of losses and sampler, and the distance
    to `DGLOfficial` is that of the labels. Images without a known identity give no loss; a true identity that the
    bag's label misses is used all the same. `pseudo_labels` stays the softmax over the candidates: what the network
    would deduce.

    Args:
        pair_weight: Weight of the pairwise term.
        sigma: Scale of its kernel, in squared units of the pooled output of the first stage.
        triplet_weight: Weight of the triplet term.
        margin: Its margin.
        pair_scope: Pairs over the whole "batch", across bags too (official), or within a "bag".
        detach_kernel: Stop the kernel's gradient (official: no).
        base: See `Method`.
    """

    needs: ClassVar[Needs] = Needs(whole_bags=True, truth=True)
    search_space: ClassVar[Mapping[str, Sequence[object]]] = MappingProxyType(
        {
            "lr": (1e-3, 2e-3, 4e-3),
            "pair_weight": (0.0, 0.5, 2.0),
            "triplet_weight": (0.5, 1.0, 2.0),
            "margin": (0.3, 1.2),
        }
    )

    def __init__(
        self,
        pair_weight: float = 2.0,
        sigma: float = 1.0,
        triplet_weight: float = 2.0,
        margin: float = 1.2,
        pair_scope: Literal["batch", "bag"] = "batch",
        detach_kernel: bool = False,
        **base: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**base)
        above_zero(sigma=sigma)
        not_negative(pair_weight=pair_weight, triplet_weight=triplet_weight, margin=margin)
        self.pair_weight = pair_weight
        self.sigma = sigma
        self.triplet_weight = triplet_weight
        self.margin = margin
        self.pair_scope = pair_scope
        self.detach_kernel = detach_kernel

    def losses(self, batch: BagBatch, outputs: BagOutputs) -> dict[str, Tensor]:
        """The terms "unary", "pairwise" and "triplet", weighted."""
        ids = batch.truth.ids  # (N,)
        low_level = outputs.network.low_level  # (N, G)
        bag = batch.bag if self.pair_scope == "bag" else None
        unary = [unary_loss(logits, ids) for logits in outputs.logits]
        pairwise = [
            pairwise_loss(logits, ids, low_level, self.sigma, bag, self.detach_kernel) for logits in outputs.logits
        ]
        triplet = [batch_hard_triplet_loss(features, ids, self.margin) for features in outputs.network.metric]
        return {
            "unary": torch.stack(unary).mean(),
            "pairwise": self.pair_weight * torch.stack(pairwise).mean(),
            "triplet": self.triplet_weight * torch.stack(triplet).mean(),
        }
