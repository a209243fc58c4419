"""Contrastive multiple-instance learning: losses on the mean feature of a bag, one copy of the bag per label.

Tyo, Lipton, "Contrastive Multiple Instance Learning for Weakly Supervised Person ReID", arXiv:2402.07685. The source
has one label for a bag; how the copies of one bag treat each other is ours.
"""

import torch
from torch import Tensor

from wsreid.inference.attention import attend
from wsreid.losses.distances import distances
from wsreid.losses.mil_pooling import pool_bags, with_images
from wsreid.losses.precision import in_float32


@in_float32
def bag_means(features: Tensor, bag: Tensor, bags: int) -> Tensor:
    """r_b = mean over the bag's images of f_i.

    Args:
        features: f, `(N, D)` floating point.
        bag: Index in 0..B-1 of each image's bag, `(N,)` long.
        bags: B.

    Returns:
        `(B, D)`; 0 for a bag without images.
    """
    count = torch.bincount(bag, minlength=bags).clamp(min=1)  # (N,) -> (B,)
    share = (1.0 / count).to(features.dtype)[bag]  # (B,) -> (N,)
    return attend(share[:, None], features, bag, bags)[:, 0]  # (N, 1), (N, D) -> (B, 1, D) -> (B, D)


@in_float32
def bag_triplet_loss(means: Tensor, candidates: Tensor, margin: float = 0.3) -> Tensor:
    """Batch-hard triplet loss on bags: the hinge for each bag b and each candidate c of it.

        L = mean_{b, c in S_b} [max_{b' in P_bc} |r_b - r_b'|  -  min_{b' in N_c} |r_b - r_b'|  +  margin]_+
        P_bc = {b' : c in S_b', b' != b},  N_c = {b' : c not in S_b'}

    One copy of the bag per label; copies of one bag are no negatives of each other, they are equal (ours).

    Args:
        means: r, `(B, D)` floating point, not normalised.
        candidates: S_b, class indices `(B, L)` long, padded with -1; a bag without any is in no triplet.
        margin: Margin of the hinge, in units of distance.

    Returns:
        Scalar: mean over the copies with another bag of their label and a bag without it; 0 where there is none.
    """
    matrix = distances(means)  # (B, D) -> (B, B)
    valid = candidates >= 0  # (B, L)
    holds = (candidates[:, :, None, None] == candidates[None, None, :, :]).any(3)  # (B, L) -> (B, L, B)
    other = ~torch.eye(len(means), dtype=torch.bool, device=means.device)[:, None, :]  # (B, 1, B)
    positive = holds & valid[:, :, None] & other  # (B, L, B)
    negative = ~holds & valid[:, :, None] & valid.any(1)  # (B, L, B)
    anchor = positive.any(2) & negative.any(2)  # (B, L, B) -> (B, L)
    spread = matrix[:, None, :].expand_as(positive)  # (B, B) -> (B, L, B)
    far = spread.masked_fill(~positive, -torch.inf).amax(2)  # (B, L, B) -> (B, L)
    near = spread.masked_fill(~negative, torch.inf).amin(2)  # (B, L, B) -> (B, L)
    hinge = (far[anchor] - near[anchor] + margin).clamp(min=0)  # (B, L) -> (A,)
    return hinge.sum() / anchor.sum().clamp(min=1)


@in_float32
def bag_smoothed_cross_entropy(logits: Tensor, bag: Tensor, candidates: Tensor, smoothing: float = 0.1) -> Tensor:
    """Cross entropy of the bag's mean logits to (1 - e) onehot(c) + e / C, for each candidate c of the bag.

    For a linear classifier, the mean of the logits is the logits of the mean feature. One copy of the bag per label.

    Args:
        logits: `(N, C)` floating point.
        bag: Index in 0..B-1 of each image's bag, `(N,)` long.
        candidates: S_b, class indices `(B, L)` long, padded with -1.
        smoothing: e, in [0, 1).

    Returns:
        Scalar: mean over the copies (b, c); 0 where there is none.
    """
    scores = pool_bags(logits, bag, len(candidates), "mean")  # (N, C) -> (B, C)
    candidates = with_images(candidates, bag)  # (B, L)
    valid = candidates >= 0  # (B, L)
    own = scores.gather(1, candidates.clamp(min=0))  # (B, C) -> (B, L)
    target = (1 - smoothing) * own + smoothing * scores.mean(1, keepdim=True)  # (B, L)
    terms = (scores.logsumexp(1, keepdim=True) - target) * valid  # (B, L)
    return terms.sum() / valid.sum().clamp(min=1)


@in_float32
def nearest_image_loss(features: Tensor, means: Tensor, bag: Tensor) -> Tensor:
    """Draws the mean of a bag and the image next to it together: mean_b min_{i in b} |r_b - f_i|.

    Args:
        features: f, `(N, D)` floating point.
        means: r, `(B, D)` floating point.
        bag: Index in 0..B-1 of each image's bag, `(N,)` long.

    Returns:
        Scalar: mean over the bags with images; no gradient at a distance of 0.
    """
    squares = (features - means[bag]).square().sum(1)  # (N, D) -> (N,)
    distance = squares.clamp(min=1e-12).sqrt()  # (N,): the root's gradient is infinite at 0
    nearest = distance.new_zeros(len(means)).scatter_reduce(
        0, bag, distance, "amin", include_self=False
    )  # (N,) -> (B,)
    return nearest.sum() / (torch.bincount(bag, minlength=len(means)) > 0).sum().clamp(min=1)
