"""Contrast with clusters of the whole set: the floor that needs no label, and a form that heeds the bags."""

import logging
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from wsreid.data.batch import BagBatch
from wsreid.data.needs import Needs
from wsreid.data.row_candidates import Ints, row_candidates
from wsreid.errors import ConfigError
from wsreid.inference import PseudoLabels, candidate_counts, density_clusters, most_probable, split_by_candidate
from wsreid.losses import cluster_centroids, cluster_contrast_loss, update_cluster_memory
from wsreid.methods.base import Method
from wsreid.methods.epoch_pass import EmbeddedRows
from wsreid.methods.outputs import BagOutputs
from wsreid.retrieval import jaccard_graph

_log = logging.getLogger(__name__)


class ClusterContrast(Method):
    """Clusters the training set before each epoch and draws images to their cluster's centroid.

    Dai et al., "Cluster Contrast for Unsupervised Person Re-Identification", arXiv:2103.11568. It learns from NO label
    unless `bag_aware`. Settings come from a third party's re-implementation, not the paper; ours is:

        clusters: DBSCAN(eps, min_samples) on Jaccard distances of k-reciprocal neighbourhoods (k1, k2) of all images
        phi_k = norm(mean of the cluster's features), then after each step phi <- norm(m phi + (1 - m) f), f by f
        L = -(1/N') sum_i log exp(f_i . phi_{y_i} / tau) / sum_k exp(f_i . phi_k / tau)

    f is the normalised test feature, of all heads together. Outliers, and with `epoch_pass_limit` the images outside of
    the epoch's sample, give no loss; an epoch without clusters has none at all. The source draws batches of P clusters
    x K images; here they are those of the bags, as for the other methods, so a batch holds fewer images of a cluster.
    Jaccard distances scale a row's distances by its largest one (Zhong et al. 2017), as `wsreid.retrieval` does.

    `bag_aware` (ours) splits clusters until all members have a candidate in common, see `split_by_candidate`; an
    image's candidates are those of all its bags. The classifiers are not trained. Pseudo labels, for diagnostics alone:
    of an image's candidates the one that most members of its cluster have in their bags; without a cluster there is
    none.

    Each process clusters the same features; the memory sees the features of all processes.

    Args:
        bag_aware: Split clusters by the bags' labels.
        k1: Size of the neighbourhood.
        k2: Rows in the mean of neighbourhoods.
        eps: DBSCAN's largest distance of neighbours.
        min_samples: DBSCAN's neighbours of a core, itself included.
        temperature: tau.
        momentum: m, the share of a centroid that stays.
        epoch_pass_limit: Most images that are clustered, a new sample each epoch; None = all.
        base: See `Method`.
    """

    needs: ClassVar[Needs] = Needs(epoch_pass=True)
    search_space: ClassVar[Mapping[str, Sequence[object]]] = MappingProxyType(
        {
            "lr": (1e-3, 2e-3, 4e-3),
            "eps": (0.4, 0.5, 0.6, 0.7),
            "temperature": (0.05, 0.1),
            "k1": (10, 20, 30),
        }
    )

    def __init__(
        self,
        bag_aware: bool = False,
        k1: int = 30,
        k2: int = 6,
        eps: float = 0.6,
        min_samples: int = 4,
        temperature: float = 0.05,
        momentum: float = 0.1,
        epoch_pass_limit: int | None = None,
        **base: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**base)
        for name, value in (
            ("k1", k1),
            ("k2", k2),
            ("min_samples", min_samples),
            ("epoch_pass_limit", epoch_pass_limit),
        ):
            if value is not None and value < 1:
                raise ConfigError(f"{name} must be at least 1, got {value}")
        if not 0 < eps < 1:
            raise ConfigError(f"eps must be above 0 and below 1, where pairs without a common neighbour are, got {eps}")
        if temperature <= 0:
            raise ConfigError(f"temperature must be above 0, got {temperature}")
        if not 0 <= momentum < 1:
            raise ConfigError(f"momentum must be at least 0 and below 1, got {momentum}")
        self.bag_aware = bag_aware
        self.k1, self.k2 = k1, k2
        self.eps, self.min_samples = eps, min_samples
        self.temperature = temperature
        self.momentum = momentum
        self.epoch_pass_limit = epoch_pass_limit
        self.classifiers.requires_grad_(False)  # unused: DDP waits for the gradient of all others
        self.rows = torch.empty(0, dtype=torch.long)  # (n,) ascending, on the CPU
        self.clusters = torch.empty(0, dtype=torch.long)  # (n,) cluster of each, -1 = outlier
        self.memory = torch.empty(0, self.network.feature_dim)  # (K, D)
        self.counts = (torch.empty(0, dtype=torch.long), torch.empty(0, dtype=torch.long))  # of `candidate_counts`
        self._seen: list[tuple[Tensor, Tensor]] = []  # features and clusters since the last step
        self._warned_none = False

    @property
    def learns_from(self) -> str:
        """No label, unless they split the clusters."""
        return "bag labels" if self.bag_aware else "no labels"

    def epoch_features(self, embedded: EmbeddedRows) -> None:
        """Clusters the set, and fills the memory."""
        rows, features = embedded.row.numpy(), embedded.features
        device = self.device if self.device.type == "cuda" else "cpu"
        clusters = np.empty(0, np.int64)
        if len(rows):
            graph = jaccard_graph(features, self.k1, self.k2, below=self.eps, device=device)
            clusters = density_clusters(graph, self.eps, self.min_samples)
        image, classes = self._candidates(rows)
        if self.bag_aware:
            clusters = split_by_candidate(clusters, image, classes)
        self.rows, self.clusters = embedded.row, torch.from_numpy(clusters)
        keys, counts = candidate_counts(clusters, image, classes, self.num_ids)
        self.counts = (torch.from_numpy(keys), torch.from_numpy(counts))
        self.memory = cluster_centroids(features, self.clusters).to(self.device)
        _log.info(
            "%d clusters of %d images; %d are in none", len(self.memory), len(rows), int((self.clusters < 0).sum())
        )
        if len(self.memory) == 0 and not self._warned_none:
            self._warned_none = True
            _log.warning(
                "no cluster among %d images: such an epoch learns nothing; raise --model.eps, lower "
                "--model.min_samples, or start from trained weights",
                len(rows),
            )

    def losses(self, batch: BagBatch, outputs: BagOutputs) -> dict[str, Tensor]:
        """The term "contrast"."""
        features = outputs.network.features  # (N, D)
        labels = self._cluster_of(batch.row).to(features.device)  # (N,)
        self._seen.append((features.detach(), labels))
        self.memory = self.memory.to(features.device)
        return {"contrast": cluster_contrast_loss(features, self.memory, labels, self.temperature)}

    def pseudo_labels(self, batch: BagBatch, outputs: BagOutputs) -> PseudoLabels:
        """What the members of an image's cluster have most often among their candidates."""
        candidates = batch.image_candidates.cpu()  # (N, L)
        cluster = self._cluster_of(batch.row)[:, None]  # (N, 1)
        keys, counts = self.counts
        wanted = cluster * self.num_ids + candidates  # (N, L)
        at = torch.searchsorted(keys, wanted).clamp(max=max(len(keys) - 1, 0))  # (N, L)
        valid = (candidates >= 0) & (cluster >= 0)
        votes = torch.where(valid & (keys[at] == wanted), counts[at], 0) if len(keys) else torch.zeros_like(candidates)
        total = votes.sum(1, keepdim=True)  # (N, L) -> (N, 1)
        even = (candidates >= 0) / (candidates >= 0).sum(1, keepdim=True).clamp(min=1)
        probs = torch.where(total > 0, votes / total.clamp(min=1), even)  # (N, L)
        ids = most_probable(probs, candidates).masked_fill(total[:, 0] == 0, -1)  # (N,)
        device = batch.bag.device
        return PseudoLabels(ids=ids.to(device), probs=probs.to(device))

    def after_step(self) -> None:
        """Updates the memory."""
        super().after_step()
        self._update_memory()

    def _update_memory(self) -> None:
        """With the features of all processes: the memory must stay the same on each."""
        seen, self._seen = self._seen, []
        if self.trainer.world_size > 1:
            everyone: list[list[tuple[Tensor, Tensor]]] = [[]] * self.trainer.world_size
            torch.distributed.all_gather_object(everyone, [(f.cpu(), labels.cpu()) for f, labels in seen])
            seen = [part for of_rank in everyone for part in of_rank]
        for features, labels in seen:
            device = self.memory.device
            update_cluster_memory(self.memory, features.to(device), labels.to(device), self.momentum)

    def _cluster_of(self, row: Tensor) -> Tensor:
        """Cluster of each manifest row `(N,)`, on the CPU; -1 = none."""
        row = row.cpu()
        if len(self.rows) == 0:
            return torch.full_like(row, -1)
        at = torch.searchsorted(self.rows, row).clamp(max=len(self.rows) - 1)  # (N,)
        return torch.where(self.rows[at] == row, self.clusters[at], -1)

    def _candidates(self, rows: Ints) -> tuple[Ints, Ints]:
        bags = getattr(getattr(self.trainer, "datamodule", None), "bags", None)
        if bags is not None:
            return row_candidates(bags, rows)
        if self.bag_aware:
            raise ConfigError("bag_aware splits clusters by the bags' labels, and this datamodule has no bags")
        return np.empty(0, np.int64), np.empty(0, np.int64)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds clusters and memory: a resume in the middle of an epoch does not cluster again."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["clusters"] = {
            "rows": self.rows,
            "clusters": self.clusters,
            "memory": self.memory,
            "keys": self.counts[0],
            "counts": self.counts[1],
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes them."""
        super().on_load_checkpoint(checkpoint)
        saved = checkpoint["clusters"]
        self.rows, self.clusters = saved["rows"].cpu(), saved["clusters"].cpu()
        self.memory, self.counts = saved["memory"], (saved["keys"].cpu(), saved["counts"].cpu())
