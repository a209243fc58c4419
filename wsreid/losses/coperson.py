"""Co-person attention: what two bags attend to for an identity that both name must be one person.

Wang et al., "Learning Person Re-identification Models from Videos with Weak Supervision", arXiv:2007.10631 (TIP 2021);
settings from a third party's re-implementation, not the paper.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from wsreid.inference.attention import attend, bag_softmax
from wsreid.losses.precision import in_float32


def shared_candidates(candidates: Tensor) -> Tensor:
    """All candidates that two bags share.

    Args:
        candidates: Class indices `(B, L)` long, padded with -1, unique within a bag.

    Returns:
        `(P, 4)` long: for each pair of bags u < v and shared class, u, its column in u, v, its column in v.
    """
    bags = torch.arange(len(candidates), device=candidates.device)  # (B,)
    same = candidates[:, :, None, None] == candidates[None, None, :, :]  # (B, L) -> (B, L, B, L)
    same = same & (candidates >= 0)[:, :, None, None]
    return (same & (bags[:, None] < bags)[:, None, :, None]).nonzero()  # (B, L, B, L) -> (P, 4)


@in_float32
def co_person_attention_loss(
    logits: Tensor, features: Tensor, bag: Tensor, candidates: Tensor, margin: float = 0.5
) -> Tensor:
    """Two bags agree on what shows a shared identity, and differ from what does not.

        A_ic = softmax_{i in b} z_ic,   H_c = sum_i A_ic f_i,   L_c = sum_i (1 - A_ic) / (n_b - 1) f_i,   d = 1 - cos
        for bags u, v and a shared c:
        1/2 [d(H_u, H_v) - d(H_u, L_v) + margin]_+  +  1/2 [d(H_u, H_v) - d(L_u, H_v) + margin]_+

    The gradient goes through attention and features.

    Args:
        logits: z, `(N, C)` floating point.
        features: f, `(N, D)` floating point.
        bag: Index in 0..B-1 of each image's bag, `(N,)` long.
        candidates: Class indices of each bag's label, `(B, L)` long, padded with -1.
        margin: Margin of the hinges.

    Returns:
        Scalar: mean over pairs of bags and the candidates that they share. A bag with one image at hand has no L and
        is in no pair. 0 with zero gradient where there is no pair.
    """
    bags = len(candidates)
    scores = logits.gather(1, candidates.clamp(min=0)[bag])  # (N, C) -> (N, L)
    dtype = torch.promote_types(logits.dtype, features.dtype)
    weights = bag_softmax(scores.to(dtype), bag, candidates)  # (N, L)
    features = features.to(dtype)
    high = attend(weights, features, bag, bags)  # (N, L), (N, D) -> (B, L, D)
    total = attend(torch.ones_like(weights[:, :1]), features, bag, bags)  # (N, 1), (N, D) -> (B, 1, D)
    count = torch.bincount(bag, minlength=bags)  # (N,) -> (B,)
    low = (total - high) / (count - 1).clamp(min=1)[:, None, None]  # (B, L, D)
    u, u_column, v, v_column = shared_candidates(candidates.masked_fill(count[:, None] < 2, -1)).unbind(1)  # (P,) each
    high_u, low_u = high[u, u_column], low[u, u_column]  # (B, L, D) -> (P, D)
    high_v, low_v = high[v, v_column], low[v, v_column]  # (B, L, D) -> (P, D)
    together = _cosine_distance(high_u, high_v)  # (P, D) -> (P,)
    first = (together - _cosine_distance(high_u, low_v) + margin).clamp(min=0)  # (P,)
    second = (together - _cosine_distance(low_u, high_v) + margin).clamp(min=0)  # (P,)
    return (first + second).sum() / 2 / max(len(u), 1)


def _cosine_distance(first: Tensor, second: Tensor) -> Tensor:
    return 1 - F.cosine_similarity(first, second, dim=1)  # (P, D) -> (P,)
