"""Contrast with the centroids of clusters, and the memory that holds them.

Dai et al., "Cluster Contrast for Unsupervised Person Re-Identification", arXiv:2103.11568, eq. 3 and 4.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from wsreid.losses.precision import in_float32


@in_float32
def cluster_contrast_loss(features: Tensor, memory: Tensor, labels: Tensor, temperature: float = 0.05) -> Tensor:
    """Cross entropy over the similarities to all centroids.

        L = -(1/N') sum_i log exp(f_i . phi_{y_i} / tau) / sum_k exp(f_i . phi_k / tau),  f = features / |features|

    Args:
        features: `(N, D)` floating point, not normalised.
        memory: phi, `(K, D)`, rows of norm 1, taken as constants.
        labels: Cluster of each image, `(N,)` long; -1 = none.
        temperature: tau, above 0.

    Returns:
        Scalar: mean over the N' images in a cluster; 0 with zero gradient where there is none, or no cluster at all.

    Raises:
        ValueError: The temperature is not above 0.
    """
    if temperature <= 0:
        raise ValueError(f"temperature must be above 0, got {temperature}")
    if len(memory) == 0:
        return (features * 0).sum()
    logits = F.normalize(features, dim=1) @ memory.detach().to(features.dtype).T / temperature  # (N, D) -> (N, K)
    total = F.cross_entropy(logits, labels, ignore_index=-1, reduction="sum")
    return total / (labels >= 0).sum().clamp(min=1)


def cluster_centroids(features: Tensor, labels: Tensor) -> Tensor:
    """The mean of each cluster's features, normalised.

    Args:
        features: `(n, D)`, rows of norm 1.
        labels: Cluster of each row, 0..K-1, each at least once, `(n,)` long; -1 = none.

    Returns:
        `(K, D)` float32, rows of norm 1.
    """
    known = labels >= 0  # (n,)
    clusters = int(labels.max()) + 1 if len(labels) else 0
    total = torch.zeros(clusters, features.shape[1], device=features.device)  # (K, D)
    return F.normalize(total.index_add_(0, labels[known], features[known].float()), dim=1)


@torch.no_grad()
def update_cluster_memory(memory: Tensor, features: Tensor, labels: Tensor, momentum: float = 0.1) -> None:
    """Moves each image's centroid towards it, one image after the other, in place.

        phi_k <- norm(m phi_k + (1 - m) f_i)      for each i with y_i = k, in the order of the batch

    Args:
        memory: phi, `(K, D)`, rows of norm 1.
        features: `(N, D)`, not normalised.
        labels: Cluster of each image, `(N,)` long; -1 = none.
        momentum: m, the share that stays.
    """
    known = labels >= 0  # (N,)
    labels, features = labels[known], F.normalize(features[known].to(memory.dtype), dim=1)
    order = labels.argsort(stable=True)  # (N',)
    ranked = labels[order]
    count = torch.bincount(ranked, minlength=len(memory))  # (K,)
    turn = torch.arange(len(order), device=order.device) - (count.cumsum(0) - count)[ranked]  # (N',)
    for t in range(int(count.max()) if len(order) else 0):  # the t-th image of every cluster at once
        mine, k = order[turn == t], ranked[turn == t]
        memory[k] = F.normalize(momentum * memory[k] + (1 - momentum) * features[mine], dim=1)
