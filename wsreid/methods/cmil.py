"""Contrastive multiple-instance learning, arXiv:2402.07685."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor

from wsreid.data.batch import BagBatch
from wsreid.data.needs import Needs
from wsreid.losses import bag_means, bag_smoothed_cross_entropy, bag_triplet_loss, nearest_image_loss
from wsreid.methods.base import Method
from wsreid.methods.option_ranges import below_one, not_negative
from wsreid.methods.outputs import BagOutputs


class CMIL(Method):
    """A bag is the mean of its images' features: classified as each of its labels, and contrasted with other bags.

    Tyo, Lipton, "Contrastive Multiple Instance Learning for Weakly Supervised Person ReID", arXiv:2402.07685; our
    implementation. With r_b = mean_i f_i and one copy (b, c) of bag b for each candidate c:

        L = triplet_weight mean_{b, c} [max_{b' names c} |r_b - r_b'| - min_{b' names not c} |r_b - r_b'| + margin]_+
            + ce_weight    mean_{b, c} CE(W r_b, c), with label smoothing
            + align_weight mean_b min_i |r_b - f_i|

    Triplet and alignment read the metric features, before the neck, the classifier what it always does. That copies of
    one bag are no negatives of each other is ours: the source's bags have one label. So is the weight of the
    alignment, 0: by a summary of the paper, it did not help there. The source's accumulation network may be a
    transformer; the mean is the one of its choices that adds no parameters. With several heads or metric features, the
    mean over them.

    Batches hold pairs of bags that share a label, where the data has any: where no two bags share one (random bags of
    one chunk per identity), the sampler says so, the triplet term is 0 and the others train alone. Triplets are those
    of one process, and take three bags: with two in a batch the term is 0. Where the batch holds a sample of a bag,
    the mean is over the sample.

    Args:
        triplet_weight: Weight of the triplet term.
        ce_weight: Weight of the cross entropy.
        align_weight: Weight of the alignment.
        margin: Margin of the triplet term.
        smoothing: Label smoothing of the cross entropy.
        base: See `Method`.
    """

    needs: ClassVar[Needs] = Needs(whole_bags=True, shared_label_pairs=True)

    search_space: ClassVar[Mapping[str, Sequence[object]]] = MappingProxyType(
        {
            "lr": (1e-3, 2e-3, 4e-3),
            "triplet_weight": (0.3, 1.0, 3.0),
            "align_weight": (0.0, 0.1),
            "warmup_epochs": (1, 3),
        }
    )

    def __init__(
        self,
        triplet_weight: float = 1.0,
        ce_weight: float = 1.0,
        align_weight: float = 0.0,
        margin: float = 0.3,
        smoothing: float = 0.1,
        **base: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**base)
        not_negative(triplet_weight=triplet_weight, ce_weight=ce_weight, align_weight=align_weight, margin=margin)
        below_one(smoothing=smoothing)
        self.triplet_weight = triplet_weight
        self.ce_weight = ce_weight
        self.align_weight = align_weight
        self.margin = margin
        self.smoothing = smoothing

    def losses(self, batch: BagBatch, outputs: BagOutputs) -> dict[str, Tensor]:
        """The terms "ce", "triplet" and "alignment", weighted; a term without weight is left out."""
        bag, candidates = batch.bag, batch.candidates
        ce = [bag_smoothed_cross_entropy(logits, bag, candidates, self.smoothing) for logits in outputs.logits]
        metric = outputs.network.metric
        means = [bag_means(features, bag, len(candidates)) for features in metric]  # (N, D) -> (B, D) each
        triplet = [bag_triplet_loss(mean, candidates, self.margin) for mean in means]
        terms = {
            "ce": self.ce_weight * torch.stack(ce).mean(),
            "triplet": self.triplet_weight * torch.stack(triplet).mean(),
        }
        if self.align_weight:
            nearest = [nearest_image_loss(f, mean, bag) for f, mean in zip(metric, means, strict=True)]
            terms["alignment"] = self.align_weight * torch.stack(nearest).mean()
        return terms
