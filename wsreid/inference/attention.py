"""Attention over the images of a bag, one distribution for each of the bag's candidates."""

import torch
import torch.nn.functional as F
from torch import Tensor


def bag_softmax(scores: Tensor, bag: Tensor, candidates: Tensor) -> Tensor:
    """The softmax over the images of a bag, for each candidate: exp(e_il) / sum_{j in bag} exp(e_jl).

    Ilse et al., "Attention-based Deep Multiple Instance Learning", arXiv:1802.04712, eq. 8. Differentiable.

    Args:
        scores: e, for each image and candidate of its bag, `(N, L)` floating point.
        bag: Index in 0..B-1 of each image's bag, `(N,)` long.
        candidates: Class indices of each bag's label, `(B, L)` long, padded with -1.

    Returns:
        `(N, L)` float32 (float64 for float64 scores), 0 at padding; the images of a bag sum to 1 for each candidate.
    """
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
    index = bag[:, None].expand_as(scores)  # (N,) -> (N, L)
    lowest = scores.new_full(candidates.shape, -torch.inf)
    top = lowest.scatter_reduce(0, index, scores.detach(), "amax")  # (N, L) -> (B, L)
    exponential = (scores - top[bag]).exp()  # (N, L)
    # a product, not index_add: its sum has one order on a GPU too
    total = F.one_hot(bag, len(candidates)).to(scores.dtype).T @ exponential  # (N, B), (N, L) -> (B, L)
    return exponential / total[bag] * (candidates >= 0)[bag]


def attend(weights: Tensor, values: Tensor, bag: Tensor, bags: int) -> Tensor:
    """Weighted sums over the images of a bag: sum_{i in bag} a_il v_i.

    Args:
        weights: a, for each image and candidate of its bag, `(N, L)` floating point.
        values: v, `(N, D)` floating point, of the same type.
        bag: Index in 0..B-1 of each image's bag, `(N,)` long.
        bags: B.

    Returns:
        `(B, L, D)`; 0 for a bag without images.
    """
    own = F.one_hot(bag, bags).to(weights.dtype)  # (N,) -> (N, B)
    # one product with a matrix of zeros outside of the bags: (B, L, N) is small, (N, L, D) may not be
    spread = (own.T[:, None, :] * weights.T[None, :, :]).flatten(0, 1)  # (B, 1, N) x (1, L, N) -> (B L, N)
    return (spread @ values).view(bags, weights.shape[1], -1)  # (B L, N) x (N, D) -> (B, L, D)
