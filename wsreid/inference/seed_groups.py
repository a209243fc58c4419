"""The image of a bag that shows a candidate most surely, and the images that show it nearly as surely.

Meng, Wu, Zheng, "Weakly Supervised Person Re-Identification", arXiv:1904.03832 (CV-MIML, CVPR 2019); the mean over
cameras is ours.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from wsreid.losses.precision import in_float32


@dataclass(frozen=True)
class SeedGroups:
    """Seeds and groups of B bags with N images.

    Attributes:
        seed: Index in 0..N-1 of each candidate's seed, `(B, L)` long; -1 = none: padding, or a bag without images.
        member: Whether an image is in the group of its bag's candidate, `(N, L)` bool; a seed is in its own group.
    """

    seed: Tensor
    member: Tensor


@torch.no_grad()
@in_float32
def seed_groups(log_probs: Tensor, bag: Tensor, candidates: Tensor, share: float = 0.95) -> SeedGroups:
    """Seeds s_c = argmax_{i in bag} p_ic, the first among equals, and groups G_c = {i : p_ic > share p_{s_c, c}}.

    Args:
        log_probs: log p of each image for the candidates of its bag, `(N, L)` floating point; see
            `candidate_log_softmax`.
        bag: Index in 0..B-1 of each image's bag, `(N,)` long.
        candidates: Class indices of each bag's label, `(B, L)` long, padded with -1.
        share: In (0, 1].

    Returns:
        Seeds and groups.
    """
    n = len(bag)
    index = bag[:, None].expand_as(log_probs)  # (N,) -> (N, L)
    valid = (candidates >= 0)[bag]  # (B, L) -> (N, L)
    lowest = log_probs.new_full(candidates.shape, -torch.inf)
    best = lowest.scatter_reduce(0, index, log_probs, "amax")[bag]  # (N, L) -> (B, L) -> (N, L)
    number = torch.arange(n, device=bag.device)[:, None].expand_as(index)  # (N,) -> (N, L)
    first = number.masked_fill((log_probs < best) | ~valid, n)  # (N, L)
    seed = index.new_full(candidates.shape, n).scatter_reduce(0, index, first, "amin")  # (N, L) -> (B, L)
    close = log_probs - best > math.log(share)  # (N, L)
    return SeedGroups(seed=seed.masked_fill(seed == n, -1), member=(close | (number == seed[bag])) & valid)


@dataclass(frozen=True)
class ViewSums:
    """Sums of features by class and camera, from which processes make their means.

    Attributes:
        key: Class and camera, `(K, 2)` long, unique.
        total: Sum of the features, `(K, D)`.
        count: How many, `(K,)`.
    """

    key: Tensor
    total: Tensor
    count: Tensor


@torch.no_grad()
@in_float32
def view_sums(features: Tensor, member: Tensor, bag: Tensor, candidates: Tensor, camera: Tensor) -> ViewSums:
    """Adds up the features of the groups by class and camera.

    Args:
        features: `(N, D)` floating point.
        member: Of `seed_groups`, `(N, L)` bool.
        bag: Index in 0..B-1 of each image's bag, `(N,)` long.
        candidates: Class indices of each bag's label, `(B, L)` long, padded with -1.
        camera: `(N,)` long; -1 = unknown, which is a camera of its own.

    Returns:
        The sums; an image in the groups of several candidates counts for each.
    """
    image, column = member.nonzero(as_tuple=True)  # (M,)
    pairs = torch.stack([candidates[bag[image], column], camera[image]], 1)  # (M, 2)
    key, group = torch.unique(pairs, dim=0, return_inverse=True)  # (M, 2) -> (K, 2), (M,)
    belongs = features.new_zeros(len(key), len(features))  # (K, N)
    belongs[group, image] = 1.0
    return ViewSums(key=key, total=belongs @ features, count=belongs.sum(1))  # (K, N) x (N, D) -> (K, D)


@torch.no_grad()
def means_over_views(sums: ViewSums) -> tuple[Tensor, Tensor]:
    """The mean over cameras of the mean in each camera, so that a camera with many images does not rule.

    Args:
        sums: Of one process or of several, one after the other: a key may then stand there several times.

    Returns:
        Classes `(J,)` long, ascending, and their means `(J, D)`.
    """
    key, group = torch.unique(sums.key, dim=0, return_inverse=True)  # (K', 2) -> (K, 2), (K',)
    same = (group == torch.arange(len(key), device=group.device)[:, None]).to(sums.total.dtype)  # (K') -> (K, K')
    by_view = (same @ sums.total) / (same @ sums.count)[:, None]  # (K, K') x (K', D) -> (K, D)
    classes, of_class = torch.unique(key[:, 0], return_inverse=True)  # (K,) -> (J,), (K,)
    own = (of_class == torch.arange(len(classes), device=group.device)[:, None]).to(by_view.dtype)  # (J, K)
    return classes, (own @ by_view) / own.sum(1, keepdim=True)  # (J, K) x (K, D) -> (J, D)
