"""The graph model on soft labels: a graph over each bag, and a bank by which bags share what they know."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from wsreid.data.batch import BagBatch
from wsreid.data.needs import Needs
from wsreid.errors import ConfigError
from wsreid.inference import (
    bag_couplings,
    certainty,
    drawn_prototypes,
    mean_field,
    prototype_scores,
    prototype_sums,
    sinkhorn,
)
from wsreid.losses import prototype_contrast_loss, soft_pairwise_loss, weighted_candidate_cross_entropy
from wsreid.methods.appearance import Kernel, appearance_of
from wsreid.methods.gathering import gather_rows
from wsreid.methods.option_ranges import above_zero, below_one, not_negative
from wsreid.methods.outputs import BagOutputs
from wsreid.methods.progress import run_progress
from wsreid.methods.tabled import TabledMethod

_log = logging.getLogger(__name__)
_KEPT = 0.95  # share of the running mean of certainty that stays from step to step
_LEAST = 1e-6  # a candidate's share never gets lower before its logarithm is taken


class DGL(TabledMethod):
    """Soft labels from inference on a graph over the bag, whose images also ask a bank of identities.

    The energy is that of Wang et al., arXiv:1904.03845; what is made of it is ours. `DGLOfficial` is the official
    code. Each member (a bag and an image in it) has a soft label w_i over its candidates S_i. In each step, with p the
    softmax, f the L2-normalised test feature:

        U_i[k] = log p_i[k]  +  bank_weight f_i . mu_k / bank_temperature                         unary
        J_ij   = (edge_weight + neighbour [near in time]) exp(-|g_i - g_j|^2 / sigma)             same bag alone
                 - same_frame [two boxes of one frame]
        Q      = mean field of U and J, then the nearest plan that gives each candidate an image   inference
        w_i   <- momentum w_i + (1 - momentum) Q_i                                      w_i uniform at first
        L      = -(1/N) sum_i sum_{k in S_i} w_i[k] log p_i[k]  +  pair_weight L_pair
                 -  (contrast_weight/N) sum_i c_i sum_{k in S_i} w_i[k] log softmax_c(f_i . mu_c / T)[k]
        mu_k  <- drawn towards the normalised sum of the f_i, each by w_i[k]^2, of all bags

    Without bank, graph, presence and smoothing, w is the softmax over the candidates and the gradient that of CC
    (arXiv:2007.08929). So the pairs do reach the labels, which the official pairwise term never does; pairs stay inside
    a bag; nothing is hard, and labels harden by themselves as p does. The bank is how bags share what they know: an
    identity stands in several bags, and what they have in common is its own. It looks at the feature that ranks, not
    at the classifier, which can learn a bag by heart; so does the contrast with it, over the identities of all bags
    (`wsreid.losses.prototype_contrast_loss`), which does for right labels what `ClusterContrast` does for clusters. The
    bank is asked when the labels are `sure_enough`: one that was drawn by labels that know nothing would
    make them certain of it.

    Presence holds for whole bags: where a batch holds a sample of a bag, its candidates need have no image there, and
    the first time this is logged. With several heads the loss is their mean, p the mean of their softmaxes over the
    candidates. Pseudo labels are w, see `TabledMethod`. Under DDP the bank is drawn by the bags of all processes.

    Args:
        bank_weight: Weight of the bank in the unary; 0 = no bank.
        bank_temperature: Temperature of its similarities.
        bank_momentum: Share of a prototype that stays, for one sure image in a step.
        warm_start: Share of the run before the bank is asked, at least.
        sure_enough: Certainty that the labels must have reached on the average before it is asked
            (`wsreid.inference.certainty`; a running mean over the steps).
        rounds: Rounds of mean field; 0 = no graph.
        edge_weight: Weight of the appearance kernel between images of a bag.
        sigma: Its scale, in squared units of what it compares.
        kernel: What it compares: "embedding" f, "layer1" the pooled output of the first stage, or "rgb" a thumbnail.
        same_frame: What keeps two boxes of one frame apart.
        neighbour: What the kernel weighs more between images of neighbouring frames.
        presence: Each candidate of a whole bag has an image.
        momentum: Share of a soft label that stays from one epoch to the next.
        sharpen: Power to which Q is raised at the run's end, from 1 at its start: soft to hard.
        smoothing: Label smoothing of the loss.
        contrast_weight: Weight of the contrast with the bank; 0 = none.
        contrast_temperature: Its temperature, T.
        by_certainty: Let an image count in the contrast by how certain its label is, c_i
            (`wsreid.inference.certainty`); else c_i = 1.
        pair_weight: Weight of the relaxed Potts term on p, within bags.
        base: See `Method`.
    """

    needs: ClassVar[Needs] = Needs(whole_bags=True, member_table=True)
    search_space: ClassVar[Mapping[str, Sequence[object]]] = MappingProxyType(
        {
            "lr": (1e-3, 2e-3, 4e-3),
            "bank_weight": (0.5, 1.0, 2.0),
            "edge_weight": (0.0, 1.0),
            "smoothing": (0.0, 0.1),
        }
    )

    bank: Tensor
    sureness: Tensor

    def __init__(
        self,
        bank_weight: float = 1.0,
        bank_temperature: float = 0.07,
        bank_momentum: float = 0.2,
        warm_start: float = 0.1,
        sure_enough: float = 0.5,
        rounds: int = 3,
        edge_weight: float = 1.0,
        sigma: float = 0.5,
        kernel: Kernel = "embedding",
        same_frame: float = 1.0,
        neighbour: float = 0.5,
        presence: bool = True,
        momentum: float = 0.0,
        sharpen: float = 1.0,
        smoothing: float = 0.1,
        contrast_weight: float = 2.0,
        contrast_temperature: float = 0.1,
        by_certainty: bool = True,
        pair_weight: float = 0.0,
        **base: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**base)
        below_one(bank_momentum=bank_momentum, momentum=momentum, smoothing=smoothing)
        above_zero(bank_temperature=bank_temperature, contrast_temperature=contrast_temperature)
        above_zero(sigma=sigma, sharpen=sharpen)
        not_negative(bank_weight=bank_weight, contrast_weight=contrast_weight, pair_weight=pair_weight, rounds=rounds)
        not_negative(edge_weight=edge_weight, same_frame=same_frame, neighbour=neighbour)
        if not 0 <= warm_start <= 1:
            raise ConfigError(f"warm_start must be in [0, 1], got {warm_start}")
        self.bank_weight, self.bank_temperature, self.bank_momentum = bank_weight, bank_temperature, bank_momentum
        self.warm_start, self.sure_enough = warm_start, sure_enough
        self.rounds, self.edge_weight, self.sigma, self.kernel = rounds, edge_weight, sigma, kernel
        self.same_frame, self.neighbour = same_frame, neighbour
        self.presence = presence
        self.momentum, self.sharpen, self.smoothing = momentum, sharpen, smoothing
        self.contrast_weight, self.contrast_temperature = contrast_weight, contrast_temperature
        self.by_certainty = by_certainty
        self.pair_weight = pair_weight
        width = self.network.feature_dim if bank_weight else 0
        self.register_buffer("bank", torch.zeros(self.num_ids, width, dtype=torch.float16))
        self.register_buffer("sureness", torch.zeros(()))
        self._said: list[tuple[Tensor, ...]] = []  # by batches since the last step
        self._warned_sample = False

    def losses(self, batch: BagBatch, outputs: BagOutputs) -> dict[str, Tensor]:
        """The terms "unary" and, with a weight, "contrast" and "pairwise"; writes the table and what the bank gets."""
        candidates = batch.image_candidates  # (N, L)
        before = self.table.take(batch.member, candidates)  # (N, L)
        soft = self.momentum * before + (1 - self.momentum) * self.infer(batch, outputs)  # (N, L)
        heads = [weighted_candidate_cross_entropy(z, candidates, soft, self.smoothing) for z in outputs.logits]
        terms = {"unary": torch.stack(heads).mean()}
        if self.contrast_weight and self._asks_bank():
            shares = soft * certainty(soft, candidates)[:, None] if self.by_certainty else soft  # (N, L)
            contrast = prototype_contrast_loss(
                outputs.network.features, self.bank, candidates, shares, self.contrast_temperature
            )
            terms["contrast"] = self.contrast_weight * contrast
        if self.pair_weight:
            coupling = self.couplings(batch, outputs)  # (N, N)
            pairs = [soft_pairwise_loss(z, candidates, coupling) for z in outputs.logits]
            terms["pairwise"] = self.pair_weight * torch.stack(pairs).mean()
        self.table.put(batch.member, soft)
        self._keep_for_bank(outputs, candidates, soft)
        return terms

    @torch.no_grad()
    def infer(self, batch: BagBatch, outputs: BagOutputs) -> Tensor:
        """What the graph says of the images of a batch: Q, `(N, L)`, without gradient."""
        classifier, bank = self.unaries(batch, outputs)
        coupling = self.couplings(batch, outputs)  # (N, N)
        q = mean_field(classifier + bank, batch.image_candidates, coupling, self.rounds)  # (N, L)
        power = self.sharpen ** run_progress(self._trainer)
        if self.presence or power != 1:
            q = self._present(q.clamp(min=_LEAST).log() * power, batch)
        return q

    @torch.no_grad()
    def unaries(self, batch: BagBatch, outputs: BagOutputs) -> tuple[Tensor, Tensor]:
        """The two parts of U: what the classifier says of each image, and what the bank does, each `(N, L)`.

        The bank's is 0 as long as it is not asked.
        """
        classifier = self.softmax(batch, outputs).clamp(min=_LEAST).log()  # (N, L)
        if not self._asks_bank():
            return classifier, torch.zeros_like(classifier)
        scores = prototype_scores(self._features(outputs), self.bank, batch.image_candidates)  # (N, L)
        return classifier, self.bank_weight / self.bank_temperature * scores

    def _asks_bank(self) -> bool:
        warm = run_progress(self._trainer) >= self.warm_start and float(self.sureness) >= self.sure_enough
        return bool(self.bank_weight) and warm

    def _present(self, scores: Tensor, batch: BagBatch) -> Tensor:
        at_hand = torch.bincount(batch.bag, minlength=len(batch.bag_size))  # (N,) -> (B,)
        whole = at_hand >= batch.bag_size  # (B,)
        if self.presence and not self._warned_sample and not bool(whole.all()):
            self._warned_sample = True
            _log.info(
                "presence holds for whole bags, and this batch holds only a sample of some: it is not asked of those; "
                "raise --data.images_per_bag to the largest bag to ask it of all"
            )
        asked = whole / at_hand.clamp(min=1) if self.presence else torch.zeros_like(whole, dtype=scores.dtype)  # (B,)
        mass = asked[:, None].expand(batch.candidates.shape)  # (B,) -> (B, L)
        return sinkhorn(
            scores, batch.image_candidates, batch.bag, mass, torch.ones_like(whole), tolerance=1e-3, max_rounds=100
        )  # (N, L)

    def couplings(self, batch: BagBatch, outputs: BagOutputs) -> Tensor:
        """J, how strongly two images are drawn to one label: `(N, N)`, 0 between bags."""
        return bag_couplings(
            appearance_of(self.kernel, batch, outputs),  # (N, G)
            batch.bag,
            batch.camera,
            batch.sequence,
            batch.frame,
            self.edge_weight,
            self.sigma,
            self.same_frame,
            self.neighbour,
        )

    def _features(self, outputs: BagOutputs) -> Tensor:
        return F.normalize(outputs.network.features.detach().float(), dim=1)  # (N, D)

    @torch.no_grad()
    def _keep_for_bank(self, outputs: BagOutputs, candidates: Tensor, soft: Tensor) -> None:
        if not self.bank_weight:
            return
        sums = prototype_sums(self._features(outputs), candidates, soft)
        several = (candidates >= 0).sum(1) > 1  # (N, L) -> (N,)
        sure = certainty(soft, candidates)[several]  # (n,)
        self._said.append(tuple(gather_rows(each.contiguous()) for each in (*sums, sure)))

    def after_step(self) -> None:
        """Draws the bank: not before the step, whose gradient is that of the bank as it was."""
        super().after_step()
        said, self._said = self._said, []
        for classes, mass, sums, sure in said:
            if len(sure):
                self.sureness.lerp_(sure.mean().to(self.sureness.dtype), 1 - _KEPT)
            moved, prototypes = drawn_prototypes(self.bank, classes, mass, sums, self.bank_momentum)
            self.bank[moved] = prototypes.to(self.bank.dtype)
