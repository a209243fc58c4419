"""Partial-label losses: the label is one of a few candidates.

Feng et al., "Provably Consistent Partial-Label Learning", arXiv:2007.08929 (both losses); the weighted one is also that
of Lv et al., "Progressive Identification of True Labels for Partial-Label Learning", arXiv:2002.08053. They differ in
where the weights come from, which is the methods' affair.
"""

import torch
from torch import Tensor

from wsreid.losses.precision import in_float32


@in_float32
def weighted_candidate_cross_entropy(
    logits: Tensor, candidates: Tensor, weights: Tensor, smoothing: float = 0.0
) -> Tensor:
    """Cross entropy to a distribution over the candidates: the risk-consistent loss RC, and PRODEN's.

        L = -(1/N) sum_i sum_{c in S_i} w_ic log p_ic

    With label smoothing e (arXiv:1512.00567, eq. 14) the target is (1 - e) w_i + e / C. Uniform weights give
    `candidate_cross_entropy`, weights of 0 and 1 give plain cross entropy.

    Args:
        logits: `(N, C)` floating point.
        candidates: S_i, class indices `(N, L)` long, padded with -1.
        weights: w, `(N, L)` floating point, not negative; what stands at padding is not read.
        smoothing: e, in [0, 1).

    Returns:
        Scalar: mean over the images with a candidate; 0 with zero gradient where there is none.

    Raises:
        ValueError: `weights` and `candidates` differ in shape.
    """
    if weights.shape != candidates.shape:
        raise ValueError(f"weights {tuple(weights.shape)} and candidates {tuple(candidates.shape)} differ in shape")
    valid = candidates >= 0  # (N, L)
    inside = logits.gather(1, candidates.clamp(min=0))  # (N, C) -> (N, L)
    total = logits.logsumexp(1, keepdim=True)  # (N, C) -> (N, 1)
    surprise = total - inside  # (N, 1), (N, L) -> (N, L): -log p of each candidate
    per_image = (surprise * weights.masked_fill(~valid, 0)).sum(1)  # (N, L) -> (N,)
    if smoothing:
        even = (total[:, 0] - logits.mean(1)) * valid.any(1)  # (N, C) -> (N,): mean of -log p over all classes
        per_image = (1 - smoothing) * per_image + smoothing * even
    return per_image.sum() / valid.any(1).sum().clamp(min=1)


@in_float32
def classifier_consistent_loss(logits: Tensor, candidates: Tensor) -> Tensor:
    """The classifier-consistent loss CC: the mass on the candidates is all that counts, not how they share it.

        L = -(1/N) sum_i log sum_{c in S_i} p_ic = (1/N) sum_i (logsumexp_c z_ic - logsumexp_{c in S_i} z_ic)

    Args:
        logits: `(N, C)` floating point.
        candidates: S_i, class indices `(N, L)` long, padded with -1.

    Returns:
        Scalar: mean over the images with a candidate; 0 with zero gradient where there is none.
    """
    valid = candidates >= 0  # (N, L)
    has_label = valid.any(1)  # (N, L) -> (N,)
    inside = logits.gather(1, candidates.clamp(min=0))  # (N, C) -> (N, L)
    # the smallest finite number, not -inf: a row without candidates must not become NaN
    masked = inside.masked_fill(~valid, torch.finfo(inside.dtype).min)  # (N, L)
    per_image = logits.logsumexp(1) - masked.logsumexp(1)  # (N, C), (N, L) -> (N,)
    return per_image.masked_fill(~has_label, 0).sum() / has_label.sum().clamp(min=1)
