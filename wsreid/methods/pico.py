"""Contrastive label disambiguation, arXiv:2201.08984."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wsreid.data.batch import BagBatch
from wsreid.data.needs import Needs
from wsreid.errors import ConfigError
from wsreid.inference import moved_prototypes, nearest_prototype
from wsreid.inference.argmax import most_probable
from wsreid.losses import momentum_contrastive_loss, supervised_contrastive_loss, weighted_candidate_cross_entropy
from wsreid.methods.gathering import gather_rows
from wsreid.methods.outputs import BagOutputs
from wsreid.methods.tabled import TabledMethod


@dataclass(frozen=True)
class ContrastOutputs(BagOutputs):
    """Adds the two projected views, `(N, P)` float32, L2-normalised.

    Attributes:
        query: Of the first view, by the trained network.
        key: Of the last view, by the follower, without gradient.
    """

    query: Tensor
    key: Tensor


class PiCO(TabledMethod):
    """Contrast draws images of one guessed label together; prototypes of the classes then correct the labels.

    Wang et al., "PiCO: Contrastive Label Disambiguation for Partial Label Learning", arXiv:2201.08984; our
    implementation. With p the softmax of the first view, q its projection and k that of the second view by a momentum
    encoder, and s_i the soft label of a member (a bag and an image in it), uniform on its candidates S_i at first:

        yhat_i = argmax_{c in S_i} p_ic
        s_i   <- phi s_i + (1 - phi) onehot(argmax_{c in S_i} q_i . mu_c)          phi from .95 to .8 over the run
        L      = -(1/N) sum_i sum_{c in S_i} s_ic log p_ic + contrast_weight * L_cont
        mu_c  <- normalised(m mu_c + (1 - m) q_i)  for each image with yhat_i = c

    L_cont is the supervised contrastive loss of q over the batch's q and k and a queue of earlier keys; positives have
    the same yhat. In the first `moco_epochs` it is MoCo's, and s stays uniform; mu moves from the start.

    Ours: the projection (two layers) reads the network's first metric feature, before the neck; both views have the
    same augmentation (the source's are weak and strong); the momentum encoder is in evaluation mode with averaged
    statistics (the source's trains on shuffled batches); the queue starts empty, not with noise; an image none of
    whose candidates has a prototype keeps its s. With several heads the cross entropy is the mean over them, and p the
    mean of their softmaxes over the candidates. Pseudo labels are s, see `TabledMethod`.

    Under DDP q, k and yhat of all processes go into queue and prototypes, in the order of the ranks, so that these
    stay alike; the loss contrasts the images of one process, and the queue.

    Args:
        contrast_weight: Weight of L_cont.
        temperature: Its temperature.
        moco_epochs: Epochs of warm-up (the source: 1 to 80).
        queue: Keys in the queue; at least those of a batch on all processes.
        projection_dim: Width P of the projection.
        key_momentum: What the momentum encoder keeps in each step. 0.999 is for runs of many thousand steps.
        prototype_momentum: m. 0.99 looks back on 100 images of a class, which the source has many times an epoch: with
            a dozen, prototypes lag behind the features by epochs.
        phi_start: phi in the first epoch.
        phi_end: phi after the last.
        base: See `Method`.
    """

    needs: ClassVar[Needs] = Needs(views=2, member_table=True, ema=True)
    search_space: ClassVar[Mapping[str, Sequence[object]]] = MappingProxyType(
        {
            "lr": (1e-3, 2e-3, 4e-3),
            "key_momentum": (0.9, 0.99, 0.999),
            "prototype_momentum": (0.5, 0.9, 0.99),
            "contrast_weight": (0.1, 0.5),
        }
    )

    queue: Tensor
    queue_label: Tensor
    queue_next: Tensor
    prototypes: Tensor

    def __init__(
        self,
        contrast_weight: float = 0.5,
        temperature: float = 0.07,
        moco_epochs: int = 1,
        queue: int = 8192,
        projection_dim: int = 128,
        key_momentum: float = 0.999,
        prototype_momentum: float = 0.99,
        phi_start: float = 0.95,
        phi_end: float = 0.8,
        **base: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**base)
        for name, share in (
            ("key_momentum", key_momentum),
            ("prototype_momentum", prototype_momentum),
            ("phi_start", phi_start),
            ("phi_end", phi_end),
        ):
            if not 0 <= share < 1:
                raise ConfigError(f"{name} must be in [0, 1), got {share}")
        for name, size in (("queue", queue), ("projection_dim", projection_dim)):
            if size < 1:
                raise ConfigError(f"{name} must be at least 1, got {size}")
        if temperature <= 0:
            raise ConfigError(f"temperature must be above 0, got {temperature}")
        self.contrast_weight = contrast_weight
        self.temperature = temperature
        self.moco_epochs = moco_epochs
        self.prototype_momentum = prototype_momentum
        self.phi_start, self.phi_end = phi_start, phi_end
        width = self.network.metric_dims[0]
        projection = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, projection_dim))
        self.projections = nn.ModuleList([projection])
        self.register_buffer("queue", torch.zeros(queue, projection_dim))
        self.register_buffer("queue_label", torch.full((queue,), -1))
        self.register_buffer("queue_next", torch.zeros((), dtype=torch.long))
        self.register_buffer("prototypes", torch.zeros(self.num_ids, projection_dim))
        self.follow(key_momentum)

    def followed_heads(self) -> nn.ModuleList:
        """The projection: keys need no classifiers, which may have a few hundred megabytes."""
        return self.projections

    def setup(self, stage: str) -> None:
        """Refuses a queue that cannot hold a batch, before any image is read."""
        super().setup(stage)
        draw = getattr(getattr(self.trainer, "datamodule", None), "training_draw", None)
        if stage == "fit" and draw is not None:
            self._check_queue(draw.bags_per_batch * draw.images_per_bag * self.trainer.world_size)

    def outputs(self, batch: BagBatch) -> ContrastOutputs:
        """Both views; in evaluation the first alone, with its query as its key."""
        first = self.view_outputs(batch.images[0])  # (V, N, 3, H, W) -> (N, 3, H, W)
        query = self._project(self.projections, first.network.metric[0])  # (N, D) -> (N, P)
        key = query.detach()
        if self.training:
            with torch.no_grad():
                found = self.follower.network(self.normalise(batch.images[-1]))
                key = self._project(self.follower.classifiers, found.metric[0])  # (N, D) -> (N, P)
        return ContrastOutputs(logits=first.logits, network=first.network, query=query, key=key)

    def losses(self, batch: BagBatch, outputs: BagOutputs) -> dict[str, Tensor]:
        """The terms "ce" and "contrast", weighted; writes table, prototypes and queue."""
        assert isinstance(outputs, ContrastOutputs)
        candidates = batch.image_candidates  # (N, L)
        query, key, queue = outputs.query, outputs.key, self.queue.clone()  # the queue moves before the backward pass
        guess = most_probable(self.softmax(batch, outputs), candidates)  # (N,)
        if self.current_epoch < self.moco_epochs:
            contrast = momentum_contrastive_loss(query, key, queue, self.queue_label >= 0, self.temperature)
        else:
            self._correct(batch, query)
            contrast = supervised_contrastive_loss(query, key, queue, guess, self.queue_label, self.temperature)
        soft = self.table.take(batch.member, candidates)  # (N, L)
        heads = [weighted_candidate_cross_entropy(logits, candidates, soft) for logits in outputs.logits]
        self._remember(query, key, guess)
        return {"ce": torch.stack(heads).mean(), "contrast": self.contrast_weight * contrast}

    @property
    def phi(self) -> float:
        """What a soft label keeps in this epoch."""
        epochs = self.trainer.max_epochs or 0
        done = self.current_epoch / epochs if epochs > 0 else 0.0
        return self.phi_start + (self.phi_end - self.phi_start) * min(done, 1.0)

    def _project(self, projections: nn.ModuleList, features: Tensor) -> Tensor:
        return F.normalize(projections[0](features).float(), dim=1)

    @torch.no_grad()
    def _correct(self, batch: BagBatch, query: Tensor) -> None:
        candidates = batch.image_candidates  # (N, L)
        nearest = nearest_prototype(query, self.prototypes, candidates)
        soft = self.table.take(batch.member, candidates)  # (N, L)
        found = torch.where(nearest.ids >= 0, batch.member, -1)  # (N,)
        self.table.put(found, self.phi * soft + (1 - self.phi) * nearest.probs)  # (N, L)

    @torch.no_grad()
    def _remember(self, query: Tensor, key: Tensor, guess: Tensor) -> None:
        query, key, guess = gather_rows(query), gather_rows(key), gather_rows(guess)
        self._check_queue(len(key))
        classes, moved = moved_prototypes(self.prototypes, query, guess, self.prototype_momentum)
        self.prototypes[classes] = moved.to(self.prototypes.dtype)
        kept = guess >= 0  # (N,)
        place = (self.queue_next + torch.arange(int(kept.sum()), device=key.device)) % len(self.queue)
        self.queue[place] = key[kept].to(self.queue.dtype)
        self.queue_label[place] = guess[kept]
        self.queue_next.copy_((self.queue_next + kept.sum()) % len(self.queue))

    def _check_queue(self, batch: int) -> None:
        if batch > len(self.queue):
            raise ConfigError(
                f"queue={len(self.queue)} cannot hold the keys of a batch, up to {batch} images on all processes: "
                "raise --model.queue or take smaller batches"
            )
