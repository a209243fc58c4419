"""Optimal transport inside the bag: soft labels with a say on how often each candidate occurs."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from wsreid.data.batch import BagBatch
from wsreid.data.needs import Needs
from wsreid.errors import ConfigError
from wsreid.inference import PseudoLabels, most_probable, sinkhorn
from wsreid.losses import unary_loss, weighted_candidate_cross_entropy
from wsreid.methods.base import Method
from wsreid.methods.member_table import MemberTable
from wsreid.methods.option_ranges import above_zero, at_least_one, below_one
from wsreid.methods.outputs import BagOutputs
from wsreid.methods.progress import run_progress

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SinkhornOutputs(BagOutputs):
    """The forward pass, and the labels deduced from it, without gradient.

    Attributes:
        assigned: n_b Q, `(N, L)`.
        mass: New estimate of each bag's masses, `(B, L)`.
    """

    assigned: Tensor
    mass: Tensor


class Sinkhorn(Method):
    """Cross entropy to the transport plan of each bag.

    The recipe of SwAV, arXiv:2006.09882; its form for bags is ours. With M_ic = log p_ic for the candidates of bag b:

        Q_b = diag(u) exp(M / eps) diag(v), rows 1/n_b, columns r_c        (`wsreid.inference.sinkhorn`)
        L   = -(1/N) sum_i sum_{c in S_i} n_b Q_ic log p_ic

    `columns` says what r is: "balanced" 1/|S_b|; "presence" r_c >= 1/n_b, each candidate has one image at least, or
    1/|S_b| in a bag of fewer images than candidates; "estimated" the bag's own average of p, kept over the run,
    r <- d r + (1 - d) mean_i p_ic. The first two hold for whole bags alone: for a bag of which the batch holds a sample
    r is the estimate, and the first time this is logged. eps falls from 1 to `final_eps` geometrically, epoch by epoch;
    at 1, where r allows it, Q is p itself.

    p is the mean of the heads' softmaxes over the candidates (ours), so all heads learn from one plan. Pseudo labels
    are the plan and its largest entry. The estimate is a table by bag id, and a bag starts with its first average;
    where each epoch draws bags anew it has that alone. Processes write their own bags' entries, which meet at the end
    of each epoch.

    Args:
        columns: What is asked of the columns, see above.
        target: "soft" the plan, or "argmax" its largest entry.
        final_eps: eps of the last epoch (ours); SwAV has .05 on cosine similarities.
        mass_decay: d, from one time that a bag is drawn to the next (ours).
        tolerance: Error of a column, as a share of the bag, at which the iteration ends.
        max_rounds: Most rounds of it.
        base: See `Method`.
    """

    needs: ClassVar[Needs] = Needs(whole_bags=True)
    search_space: ClassVar[Mapping[str, Sequence[object]]] = MappingProxyType(
        {
            "lr": (1e-3, 2e-3, 4e-3),
            "columns": ("presence", "balanced", "estimated"),
            "final_eps": (0.1, 0.25, 0.5, 1.0),
            "target": ("soft", "argmax"),
        }
    )

    def __init__(
        self,
        columns: Literal["balanced", "estimated", "presence"] = "presence",
        target: Literal["soft", "argmax"] = "soft",
        final_eps: float = 0.25,
        mass_decay: float = 0.7,
        tolerance: float = 1e-3,
        max_rounds: int = 500,
        **base: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**base)
        if not 0 < final_eps <= 1:
            raise ConfigError(f"final_eps must be above 0 and at most 1, got {final_eps}")
        below_one(mass_decay=mass_decay)
        above_zero(tolerance=tolerance)
        at_least_one(max_rounds=max_rounds)
        self.columns = columns
        self.target = target
        self.final_eps = final_eps
        self.mass_decay = mass_decay
        self.tolerance = tolerance
        self.max_rounds = max_rounds
        self.eps = 1.0
        self.masses = MemberTable()  # by bag id
        self._warned_sample = False

    def outputs(self, batch: BagBatch) -> SinkhornOutputs:
        """The forward pass and the plan of each bag."""
        found = super().outputs(batch)
        with torch.no_grad():
            assigned, mass = self._plan(batch, found.logits)
        return SinkhornOutputs(found.logits, found.network, assigned, mass)

    def losses(self, batch: BagBatch, outputs: BagOutputs) -> dict[str, Tensor]:
        """The term "ce"; writes the estimate of the masses."""
        assert isinstance(outputs, SinkhornOutputs)
        candidates = batch.image_candidates  # (N, L)
        # a bag's id names other images in the next epoch where bags are drawn anew: no estimate lasts
        if not getattr(getattr(self._trainer, "datamodule", None), "redraw_bags", False):
            self.masses.put(batch.bag_id, outputs.mass)
        if self.target == "argmax":
            ids = most_probable(outputs.assigned, candidates)  # (N,)
            heads = [unary_loss(logits, ids) for logits in outputs.logits]
        else:
            heads = [weighted_candidate_cross_entropy(z, candidates, outputs.assigned) for z in outputs.logits]
        return {"ce": torch.stack(heads).mean()}

    def pseudo_labels(self, batch: BagBatch, outputs: BagOutputs) -> PseudoLabels:
        """The plan and its largest entry."""
        assert isinstance(outputs, SinkhornOutputs)
        return PseudoLabels(ids=most_probable(outputs.assigned, batch.image_candidates), probs=outputs.assigned)

    def _plan(self, batch: BagBatch, logits: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        candidates, bags = batch.image_candidates, len(batch.candidates)
        inside = torch.stack([z.gather(1, candidates.clamp(min=0)) for z in logits])  # (H, N, C) -> (H, N, L)
        inside = inside.masked_fill(candidates < 0, torch.finfo(inside.dtype).min)
        scores = inside.log_softmax(2).logsumexp(0) - math.log(len(logits))  # (H, N, L) -> (N, L): log of the mean
        probs = scores.exp() * (candidates >= 0)  # (N, L)
        at_hand = torch.bincount(batch.bag, minlength=bags)  # (N,) -> (B,)
        mean = probs.new_zeros(batch.candidates.shape).index_add_(0, batch.bag, probs)  # (N, L) -> (B, L)
        mean = mean / at_hand.clamp(min=1)[:, None]
        known = self.masses.written(batch.bag_id).to(mean.device)[:, None]  # (B,) -> (B, 1)
        estimate = torch.where(known, self.masses.take(batch.bag_id, batch.candidates), mean)  # (B, L)
        mass, at_least = estimate, None
        if self.columns != "estimated":
            whole = at_hand >= batch.bag_size  # (B,)
            self._warn_of_samples(whole)
            # equal masses are scaled to sum to 1; bounds are not
            asked = torch.ones_like(mean) if self.columns == "balanced" else (1 / at_hand.clamp(min=1))[:, None]
            mass = torch.where(whole[:, None], asked, estimate)  # (B, L)
            at_least = whole if self.columns == "presence" else None
        assigned = sinkhorn(
            scores, candidates, batch.bag, mass, at_least, self.eps, self.tolerance, self.max_rounds
        )  # (N, L)
        return assigned, self.mass_decay * estimate + (1 - self.mass_decay) * mean

    def _warn_of_samples(self, whole: Tensor) -> None:
        if self._warned_sample or bool(whole.all()):
            return
        self._warned_sample = True
        _log.info(
            "columns=%r holds for whole bags, and this batch holds only a sample of some: their masses are estimated "
            "over the bag's images; raise --data.images_per_bag to the largest bag to avoid it",
            self.columns,
        )

    def on_train_epoch_start(self) -> None:
        """Sets eps of the epoch."""
        super().on_train_epoch_start()
        self.eps = self.final_eps ** run_progress(self.trainer)

    def tables(self) -> dict[str, MemberTable]:
        """The estimates, by bag."""
        return {**super().tables(), "masses": self.masses}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds eps."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["eps"] = self.eps

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes it."""
        super().on_load_checkpoint(checkpoint)
        self.eps = float(checkpoint["eps"])
