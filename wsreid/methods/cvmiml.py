"""Cross-view multi-instance multi-label learning, arXiv:1904.03832."""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from wsreid.data.batch import BagBatch
from wsreid.data.needs import Needs
from wsreid.errors import ConfigError
from wsreid.inference import SeedGroups, ViewSums, means_over_views, seed_groups, view_sums
from wsreid.losses import alignment_and_entropy, bag_maximum_loss, candidate_log_softmax, cross_view_loss
from wsreid.methods.base import Method
from wsreid.methods.gathering import gather_rows
from wsreid.methods.option_ranges import below_one, not_negative
from wsreid.methods.outputs import BagOutputs


class CVMIML(Method):
    """Each candidate shows in the image that is surest of it; the nearly as sure ones are aligned with that image.

    Meng, Wu, Zheng, "Weakly Supervised Person Re-Identification", arXiv:1904.03832 (CV-MIML, CVPR 2019). Terms and
    weights follow a third party's re-implementation, not the paper; the cross-view term's form is ours. With p the
    softmax, seed s_c = argmax_{i in b} p_ic and group G_c = {i in b : p_ic > share p_{s_c, c}} of a bag's candidate c:

        L = -mean_b mean_{c in S_b} log max_{i in b} p_ic
            + weight (mean_b mean_{c in S_b} sum_{i in G_c} KL(p_i || p_{s_c}) + mean_i H(p_i))
            + view_weight mean_{c, i in G_c} |f_i - mu_c|^2
        mu_c <- normalised(m mu_c + (1 - m) mean over cameras of the mean f_i of G_c)      after the loss

    f is the L2-normalised test feature. A class has its first mu from the first batch that names it, and counts in the
    cross-view term from the second on; an unknown camera (-1) is a camera of its own. With several heads the first
    three terms are the mean over them, each with its own groups; the prototypes' groups take the mean of their p.
    All prototypes are C x D numbers in half precision (116 MB for SYSU-30k and ResNet-50), and part of checkpoints.

    Where the batch holds a sample of a bag, maxima and groups are over the sample. Under DDP the groups' features of
    all processes go into the prototypes, which so stay alike; the losses are of one process.

    Args:
        weight: Weight of alignment and entropy.
        view_weight: Weight of the cross-view term.
        share: What share of the seed's probability makes an image a member of the group.
        momentum: m.
        delay: Epochs of the bag term alone: at first all images are nearly as sure as the seed (ours; 0 = none).
        base: See `Method`.

    Raises:
        ConfigError: An option out of range.
    """

    needs: ClassVar[Needs] = Needs(whole_bags=True)

    search_space: ClassVar[Mapping[str, Sequence[object]]] = MappingProxyType(
        {"lr": (1e-3, 2e-3, 4e-3), "weight": (0.1, 0.2), "view_weight": (0.0, 0.2, 1.0), "delay": (0, 3, 6)}
    )

    prototypes: Tensor

    def __init__(
        self,
        weight: float = 0.2,
        view_weight: float = 0.2,
        share: float = 0.95,
        momentum: float = 0.9,
        delay: int = 0,
        **base: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**base)
        if not 0 < share <= 1:
            raise ConfigError(f"share must be above 0 and at most 1, got {share}")
        below_one(momentum=momentum)
        not_negative(weight=weight, view_weight=view_weight, delay=delay)
        self.weight = weight
        self.view_weight = view_weight
        self.share = share
        self.momentum = momentum
        self.delay = delay
        width = self.network.feature_dim
        self.register_buffer("prototypes", torch.zeros(self.num_ids, width, dtype=torch.float16))  # (C, D)

    def losses(self, batch: BagBatch, outputs: BagOutputs) -> dict[str, Tensor]:
        """The terms "bag", "alignment", "entropy" and "view", weighted; moves the prototypes in training."""
        bag, candidates = batch.bag, batch.candidates
        log_probs = [candidate_log_softmax(logits, batch.image_candidates) for logits in outputs.logits]  # (N, L) each
        terms = {"bag": torch.stack([bag_maximum_loss(head, bag, candidates) for head in log_probs]).mean()}
        if self.current_epoch < self.delay:
            return terms | {name: terms["bag"].new_zeros(()) for name in ("alignment", "entropy", "view")}
        both = []
        for logits, head in zip(outputs.logits, log_probs, strict=True):
            groups = seed_groups(head, bag, candidates, self.share)
            both.append(torch.stack(alignment_and_entropy(logits, bag, candidates, groups.seed, groups.member)))
        alignment, entropy = torch.stack(both).mean(0).unbind()  # (H, 2) -> (2,)
        terms |= {"alignment": self.weight * alignment, "entropy": self.weight * entropy}
        mean = torch.stack(log_probs).logsumexp(0) - math.log(len(log_probs))  # (H, N, L) -> (N, L)
        groups = seed_groups(mean, bag, candidates, self.share)
        features = F.normalize(outputs.network.features.float(), dim=1)  # (N, D)
        known = self.prototypes[candidates.clamp(min=0)].to(features.dtype)  # (C, D) -> (B, L, D)
        terms["view"] = self.view_weight * cross_view_loss(features, bag, groups.member, known)
        if self.training:
            self._move(batch, features, groups)
        return terms

    @torch.no_grad()
    def _move(self, batch: BagBatch, features: Tensor, groups: SeedGroups) -> None:
        mine = view_sums(features, groups.member, batch.bag, batch.candidates, batch.camera)
        everyone = ViewSums(gather_rows(mine.key), gather_rows(mine.total), gather_rows(mine.count))
        classes, means = means_over_views(everyone)  # (J,), (J, D)
        old = self.prototypes[classes].to(means.dtype)  # (C, D) -> (J, D)
        keep = self.momentum * (old != 0).any(1, keepdim=True)  # (J, 1): nothing of a prototype that is not there yet
        moved = F.normalize(keep * old + (1 - keep) * means, dim=1)  # (J, D)
        self.prototypes[classes] = moved.to(self.prototypes.dtype)
