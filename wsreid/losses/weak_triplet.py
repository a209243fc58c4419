"""Weakly supervised triplet loss: bag labels alone say what is positive.

Official code of the full graph model (github.com/wanggrun/SYSU-30k; paper arXiv:1904.03845):

    d_ij   = sqrt(max(|f_i - f_j|^2, 1e-12)),  f not normalised
    pos(i) = {j : the bag labels of i and j share an identity}, i itself included;  neg(i) = the others
    L      = (1/N) sum_i max(0, median_{j in pos(i)} d_ij - min_{j in neg(i)} d_ij + margin)

The lower median is the hardest TRUE positive only where a bag holds two identities with as many images each. With k
images of each of n identities the hardest true positive is at sorted index k - 1 at best, which is the quantile 1/n.
"""

import torch
from torch import Tensor

from wsreid.losses.distances import distances
from wsreid.losses.precision import in_float32


def shares_candidate(candidates: Tensor) -> Tensor:
    """Which images' bag labels share an identity.

    Args:
        candidates: Class indices, `(N, L)` long, padded with -1.

    Returns:
        `(N, N)` bool, symmetric; False on the diagonal only for an image without candidates.
    """
    shared = torch.zeros(len(candidates), len(candidates), dtype=torch.bool, device=candidates.device)  # (N, N)
    for column in candidates.unbind(1):  # column by column: (N, N, L) at a time, not (N, N, L, L)
        same = candidates[None, :, :] == column[:, None, None]  # (1, N, L) x (N, 1, 1) -> (N, N, L)
        shared |= same.any(2) & (column >= 0)[:, None]  # (N, N)
    return shared


@in_float32
def weak_triplet_loss(
    embeddings: Tensor,
    candidates: Tensor,
    margin: float = 1.2,
    quantile: float | Tensor | None = None,
) -> Tensor:
    """The hinge between a quantile of an image's possible positives and its nearest certain negative.

    Args:
        embeddings: `(N, D)` floating point, not normalised.
        candidates: Class indices of each image's bag label, `(N, L)` long, padded with -1.
        margin: Margin of the hinge, in units of distance.
        quantile: None: the lower median, sorted index (P - 1) // 2 of P positives, as the official code. Else in
            (0, 1], one number or one per image `(N,)`: sorted index ceil(P * quantile) - 1; 1/2 is the lower median.

    Returns:
        Scalar: mean over the images that have a negative; 0 with zero gradient where none has one.
    """
    matrix = distances(embeddings)  # (N, D) -> (N, N)
    positive = shares_candidate(candidates)  # (N, N)
    known = (candidates >= 0).any(1)  # (N,)
    negative = ~positive & known[:, None] & known[None, :]  # (N, N)
    anchor = negative.any(1)  # (N,)

    count = positive.sum(1)  # (N, N) -> (N,)
    share = 0.5 if quantile is None else quantile
    # 1e-4 of an image: k * n * (1 / n) may be a hair above k in floating point
    index = (torch.ceil(count * share - 1e-4).long() - 1).clamp(min=0)  # (N,)
    ordered = matrix.masked_fill(~positive, torch.inf).sort(1).values  # (N, N)
    near = ordered.gather(1, index[:, None])[:, 0]  # (N, N) -> (N,)
    far = matrix.masked_fill(~negative, torch.inf).amin(1)  # (N, N) -> (N,)
    hinge = (near[anchor] - far[anchor] + margin).clamp(min=0)  # (N,) -> (A,)
    return hinge.sum() / anchor.sum().clamp(min=1)
