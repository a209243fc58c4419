"""The graph model as its official code computes it: differentiable graphical learning, arXiv:1904.03845."""

import logging
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from wsreid.data.batch import BagBatch
from wsreid.data.needs import Needs
from wsreid.inference import PseudoLabels, candidate_argmax, greedy_balanced
from wsreid.losses import pairwise_loss, unary_loss, weak_triplet_loss
from wsreid.methods.appearance import Kernel, appearance_of
from wsreid.methods.base import Method
from wsreid.methods.option_ranges import above_zero, not_negative
from wsreid.methods.outputs import BagOutputs

_log = logging.getLogger(__name__)


class DGLOfficial(Method):
    """Pseudo labels inside the bag label, a relaxed Potts term, and a triplet loss on bag labels.

    Wang et al., "Weakly Supervised Person Re-ID: Differentiable Graphical Learning and A New Benchmark",
    arXiv:1904.03845, as its official code computes it (github.com/wanggrun/SYSU-30k). The defaults are the official
    full model's; its network is `backbone="mgn"`.

        L = mean over heads of (L_unary + pair_weight L_pair)  +  triplet_weight * mean over metric features of L_tri

    Each head deduces its own pseudo labels from its own logits. `pseudo_labels` is for diagnostics and takes the mean
    of the heads' softmaxes over the candidates (with "greedy" the mean of their logits where the whole bag is at hand).

    `DGL` is our own model on the same energy.

    Presence and balance of labels hold only for whole bags: under `inference="greedy"` a bag of which the batch holds
    a sample falls back to the argmax, and the first time this is logged.

    Args:
        pair_weight: Weight of the pairwise term.
        sigma: Scale of its kernel exp(-|g_i - g_j|^2 / sigma).
        triplet_weight: Weight of the weakly supervised triplet term.
        margin: Its margin.
        inference: "argmax" per image, as the full model; "greedy" balanced per bag, as the unary-only code.
        pair_scope: Pairs over the whole "batch", across bags too (official), or within a "bag".
        kernel: What the kernel compares: "layer1", the pooled output of the first stage (official); "rgb", an 8 x 4
            colour thumbnail in [0, 1]; "embedding", the L2-normalised test feature. The last two are ours.
        detach_kernel: Stop the kernel's gradient (official: no).
        triplet_quantile: "median" of the possible positives (official), right for two identities a bag alone, or
            "by_bag": the quantile 1/n for a bag of n identities (ours).
        base: See `Method`.
    """

    needs: ClassVar[Needs] = Needs(whole_bags=True)
    search_space: ClassVar[Mapping[str, Sequence[object]]] = MappingProxyType(
        {
            "lr": (1e-3, 2e-3, 4e-3),
            "pair_weight": (0.5, 2.0),
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
        inference: Literal["argmax", "greedy"] = "argmax",
        pair_scope: Literal["batch", "bag"] = "batch",
        kernel: Kernel = "layer1",
        detach_kernel: bool = False,
        triplet_quantile: Literal["median", "by_bag"] = "median",
        **base: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**base)
        above_zero(sigma=sigma)
        not_negative(pair_weight=pair_weight, triplet_weight=triplet_weight, margin=margin)
        self.pair_weight = pair_weight
        self.sigma = sigma
        self.triplet_weight = triplet_weight
        self.margin = margin
        self.inference = inference
        self.pair_scope = pair_scope
        self.kernel = kernel
        self.detach_kernel = detach_kernel
        self.triplet_quantile = triplet_quantile
        self._warned_sample = False

    def losses(self, batch: BagBatch, outputs: BagOutputs) -> dict[str, Tensor]:
        """The terms "unary", "pairwise" and "triplet", weighted."""
        candidates = batch.image_candidates  # (N, L)
        appearance = appearance_of(self.kernel, batch, outputs)  # (N, G)
        bag = batch.bag if self.pair_scope == "bag" else None
        unary, pairwise = [], []
        for logits in outputs.logits:
            pseudo = self._deduce(logits, batch)  # (N, C) -> (N,)
            unary.append(unary_loss(logits, pseudo))
            pairwise.append(pairwise_loss(logits, pseudo, appearance, self.sigma, bag, self.detach_kernel))
        # the quantile 1/n of a bag of n identities: graph-model rule "sorted index k - 1"
        width = (candidates >= 0).sum(1).clamp(min=1)  # (N, L) -> (N,)
        quantile = 1.0 / width if self.triplet_quantile == "by_bag" else None
        triplet = [weak_triplet_loss(f, candidates, self.margin, quantile) for f in outputs.network.metric]
        return {
            "unary": torch.stack(unary).mean(),
            "pairwise": self.pair_weight * torch.stack(pairwise).mean(),
            "triplet": self.triplet_weight * torch.stack(triplet).mean(),
        }

    def pseudo_labels(self, batch: BagBatch, outputs: BagOutputs) -> PseudoLabels:
        """Labels from the mean over the heads, for diagnostics; training uses each head's own.

        Returns:
            With "argmax" the largest entry of the mean softmax over the candidates; with "greedy" the balanced
            assignment on the mean logits where the whole bag is at hand. `probs` is the mean softmax in both.
        """
        labels = super().pseudo_labels(batch, outputs)
        if self.inference == "argmax":
            return labels
        mean = torch.stack(outputs.logits).mean(0)  # (H, N, C) -> (N, C)
        return PseudoLabels(ids=self._greedy(mean, batch, labels.ids), probs=labels.probs)

    def _deduce(self, logits: Tensor, batch: BagBatch) -> Tensor:
        ids = candidate_argmax(logits, batch.image_candidates).ids  # (N, C) -> (N,)
        return ids if self.inference == "argmax" else self._greedy(logits, batch, ids)

    def _greedy(self, logits: Tensor, batch: BagBatch, otherwise: Tensor) -> Tensor:
        at_hand = torch.bincount(batch.bag, minlength=len(batch.bag_size))  # (N,) -> (B,)
        whole = (at_hand >= batch.bag_size)[batch.bag]  # (B,) -> (N,)
        if not self._warned_sample and not bool(whole.all()):
            self._warned_sample = True
            _log.info(
                "inference='greedy' balances labels over whole bags, and this batch holds only a sample of some: "
                "those fall back to argmax; raise --data.images_per_bag to the largest bag to avoid it"
            )
        balanced = greedy_balanced(logits, batch.image_candidates, batch.bag).ids  # (N,)
        return torch.where(whole, balanced, otherwise)
