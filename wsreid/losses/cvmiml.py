"""The losses of cross-view multi-instance multi-label learning.

Meng, Wu, Zheng, "Weakly Supervised Person Re-Identification", arXiv:1904.03832 (CV-MIML, CVPR 2019). Terms and weights
follow a third party's re-implementation, not the paper; the cross-view term's form is ours. With p = softmax(z), the
candidates S_b of bag b, and seeds s_c and groups G_c of `wsreid.inference.seed_groups`:

    L_bag   = -(1/B) sum_b (1/|S_b|) sum_{c in S_b} log max_{i in b} p_ic
    L_align =  (1/B) sum_b (1/|S_b|) sum_{c in S_b} sum_{i in G_c} KL(p_i || p_{s_c})
    L_ent   =  (1/N) sum_i H(p_i)
    L_view  =  mean over (c, i in G_c) of |f_i - mu_c|^2
"""

import torch
from torch import Tensor

from wsreid.losses.mil_pooling import with_images
from wsreid.losses.precision import in_float32


@in_float32
def candidate_log_softmax(logits: Tensor, candidates: Tensor) -> Tensor:
    """Log p_ic for the candidates c of image i, p over all classes.

    Args:
        logits: `(N, C)` floating point.
        candidates: Class indices of each image's bag, `(N, L)` long, padded with -1.

    Returns:
        `(N, L)`; of no meaning at padding.
    """
    return logits.gather(1, candidates.clamp(min=0)) - logits.logsumexp(1, keepdim=True)  # (N, C) -> (N, L)


@in_float32
def bag_maximum_loss(log_probs: Tensor, bag: Tensor, candidates: Tensor) -> Tensor:
    """L_bag: each candidate must show in one image of the bag; images that tie share the gradient.

    Args:
        log_probs: log p_ic, `(N, L)`, of `candidate_log_softmax`.
        bag: Index in 0..B-1 of each image's bag, `(N,)` long.
        candidates: S_b, class indices `(B, L)` long, padded with -1.

    Returns:
        Scalar: mean over the bags that have images and candidates; 0 where there is none.
    """
    valid = with_images(candidates, bag) >= 0  # (B, L)
    index = bag[:, None].expand_as(log_probs)  # (N,) -> (N, L)
    none = log_probs.new_zeros(candidates.shape)  # (B, L)
    best = none.scatter_reduce(0, index, log_probs, "amax", include_self=False)  # (N, L) -> (B, L)
    return _mean_over_bags(-best, valid)


@in_float32
def alignment_and_entropy(
    logits: Tensor, bag: Tensor, candidates: Tensor, seed: Tensor, member: Tensor
) -> tuple[Tensor, Tensor]:
    """L_align and L_ent, from one product of probabilities and their logarithms.

    With X_ij = -p_i . log p_j, H(p_i) = X_ii and KL(p_i || p_j) = X_ij - X_ii. The gradient goes through both.

    Args:
        logits: `(N, C)` floating point.
        bag: Index in 0..B-1 of each image's bag, `(N,)` long.
        candidates: S_b, class indices `(B, L)` long, padded with -1.
        seed: Image index of each candidate's seed, `(B, L)` long; -1 = none.
        member: Whether an image is in the group of its bag's candidate, `(N, L)` bool.

    Returns:
        Two scalars; 0 for the first where there is no group.
    """
    log_p = logits.log_softmax(1)  # (N, C)
    crossed = -log_p.exp() @ log_p.T  # (N, C) x (C, N) -> (N, N)
    entropy = crossed.diagonal()  # (N,)
    to_seed = crossed.gather(1, seed.clamp(min=0)[bag])  # (N, N) -> (N, L)
    divergence = (to_seed - entropy[:, None]) * member  # (N, L)
    own = torch.nn.functional.one_hot(bag, len(candidates)).to(divergence.dtype)  # (N,) -> (N, B)
    per_candidate = own.T @ divergence  # (B, N) x (N, L) -> (B, L)
    return _mean_over_bags(per_candidate, with_images(candidates, bag) >= 0), entropy.mean()


@in_float32
def cross_view_loss(features: Tensor, bag: Tensor, member: Tensor, prototypes: Tensor) -> Tensor:
    """L_view: draws the group of a candidate to the candidate's prototype, which bags of other cameras made too.

    Args:
        features: f, `(N, D)` floating point.
        bag: Index in 0..B-1 of each image's bag, `(N,)` long.
        member: Whether an image is in the group of its bag's candidate, `(N, L)` bool.
        prototypes: mu of each bag's candidates, `(B, L, D)`; zeros where there is none yet.

    Returns:
        Scalar: mean over the pairs of a group's image and the prototype; 0 where there is none.
    """
    b, length, _ = prototypes.shape
    flat = prototypes.flatten(0, 1)  # (B, L, D) -> (B L, D)
    squares = flat.square().sum(1)  # (B L, D) -> (B L,)
    distance = features.square().sum(1, keepdim=True) + squares - 2 * features @ flat.T  # (N, D), (B L, D) -> (N, B L)
    index = bag[:, None, None].expand(-1, 1, length)  # (N,) -> (N, 1, L)
    own = distance.view(-1, b, length).gather(1, index)[:, 0]  # (N, B L) -> (N, B, L) -> (N, L)
    counted = member & (squares > 0).view(b, length)[bag]  # (N, L)
    return (own.clamp(min=0) * counted).sum() / counted.sum().clamp(min=1)


def _mean_over_bags(terms: Tensor, valid: Tensor) -> Tensor:
    """Mean over a bag's candidates, then over the bags that have one: `(B, L)` and `(B, L)` bool -> scalar."""
    count = valid.sum(1)  # (B, L) -> (B,)
    return ((terms * valid).sum(1) / count.clamp(min=1)).sum() / (count > 0).sum().clamp(min=1)
