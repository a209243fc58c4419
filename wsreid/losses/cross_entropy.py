"""Cross entropy in three forms: to true ids, to the candidate set, and its binary twin.

Label smoothing as in Luo et al., "Bag of Tricks", arXiv:1903.07071, after Szegedy et al., arXiv:1512.00567, eq. 14;
the two candidate losses are bag labels copied to each image, the plainest weak baseline (no source).
Candidates are index lists `(N, L)`: no target of shape `(N, C)` is ever made, C may be 28,310.
"""

import torch.nn.functional as F
from torch import Tensor

from wsreid.losses.precision import in_float32


@in_float32
def smoothed_cross_entropy(logits: Tensor, labels: Tensor, smoothing: float = 0.1) -> Tensor:
    """Cross entropy to (1 - e) onehot(y) + e / C, averaged over the images with a label.

    Args:
        logits: `(N, C)` floating point.
        labels: Class index of each image, `(N,)` long; -1 = unknown.
        smoothing: e, in [0, 1).

    Returns:
        Scalar; 0 with zero gradient where no image has a label.
    """
    total = F.cross_entropy(logits, labels, ignore_index=-1, reduction="sum", label_smoothing=smoothing)
    return total / (labels >= 0).sum().clamp(min=1)


@in_float32
def candidate_cross_entropy(logits: Tensor, candidates: Tensor) -> Tensor:
    """Cross entropy to the uniform distribution over the candidates.

        L = -(1/N) sum_i (1/|S_i|) sum_{c in S_i} log p_ic

    Args:
        logits: `(N, C)` floating point.
        candidates: S_i, class indices `(N, L)` long, padded with -1.

    Returns:
        Scalar: mean over the images with a candidate; 0 where there is none.
    """
    valid = candidates >= 0  # (N, L)
    count = valid.sum(1)  # (N, L) -> (N,)
    inside = logits.gather(1, candidates.clamp(min=0))  # (N, C) -> (N, L)
    mean = (inside * valid).sum(1) / count.clamp(min=1)  # (N, L) -> (N,)
    per_image = (logits.logsumexp(1) - mean) * (count > 0)  # (N, C) -> (N,)
    return per_image.sum() / (count > 0).sum().clamp(min=1)


@in_float32
def candidate_binary_cross_entropy(logits: Tensor, candidates: Tensor) -> Tensor:
    """Binary cross entropy of each class against membership in the candidate set, summed over classes.

        L = (1/N) sum_i sum_c BCE(sigmoid(z_ic), [c in S_i]) = (1/N) sum_i (sum_c softplus(z_ic) - sum_{c in S_i} z_ic)

    Args:
        logits: `(N, C)` floating point.
        candidates: S_i, class indices `(N, L)` long, padded with -1.

    Returns:
        Scalar: mean over the images with a candidate; 0 where there is none.
    """
    valid = candidates >= 0  # (N, L)
    has_label = valid.any(1)  # (N, L) -> (N,)
    inside = logits.gather(1, candidates.clamp(min=0))  # (N, C) -> (N, L)
    per_image = F.softplus(logits).sum(1) - (inside * valid).sum(1)  # (N, C), (N, L) -> (N,)
    return (per_image * has_label).sum() / has_label.sum().clamp(min=1)
