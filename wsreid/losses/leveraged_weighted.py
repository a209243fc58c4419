"""The leveraged weighted loss with the sigmoid loss, LWS.

Wen et al., "Leveraged Weighted Loss for Partial Label Learning", arXiv:2106.05731.
"""

import torch
from torch import Tensor

from wsreid.losses.precision import in_float32


@in_float32
def leveraged_weighted_loss(
    logits: Tensor, candidates: Tensor, weights: Tensor, inside_weight: float = 1.0, outside_weight: float = 1.0
) -> Tensor:
    """One sigmoid loss per class: candidates should score high and all others low, the likely ones above all.

        L = (1/N) sum_i [ b0 sum_{c in S_i} w_ic s(z_ic) + b sum_{c not in S_i} v_ic s(-z_ic) ],   s(z) = 1 / (1 + e^z)
        v_ic = p_ic / sum_{c' not in S_i} p_ic', without gradient

    v is computed here, from the logits: a table of it would be N x C. No tensor but copies of the logits is that big.

    Args:
        logits: z, `(N, C)` floating point.
        candidates: S_i, class indices `(N, L)` long, each once, padded with -1.
        weights: w, `(N, L)` floating point, not negative; what stands at padding is not read.
        inside_weight: b0.
        outside_weight: b, the leverage; 0 leaves the others out.

    Returns:
        Scalar: mean over the images with a candidate; 0 with zero gradient where there is none.

    Raises:
        ValueError: `weights` and `candidates` differ in shape.
    """
    if weights.shape != candidates.shape:
        raise ValueError(f"weights {tuple(weights.shape)} and candidates {tuple(candidates.shape)} differ in shape")
    valid = candidates >= 0  # (N, L)
    count = valid.sum(1)  # (N, L) -> (N,)
    inside = logits.gather(1, candidates.clamp(min=0))  # (N, C) -> (N, L)
    own = (torch.sigmoid(-inside) * weights.masked_fill(~valid, 0)).sum(1)  # (N, L) -> (N,)
    likely = _likely_others(logits.detach(), candidates, valid)  # (N, C)
    others = (torch.sigmoid(logits) * likely).sum(1)  # (N, C) -> (N,)
    others = others.masked_fill(count == logits.shape[1], 0)  # all are candidates: there is no other
    per_image = (inside_weight * own + outside_weight * others) * (count > 0)  # (N,)
    return per_image.sum() / (count > 0).sum().clamp(min=1)


def _likely_others(logits: Tensor, candidates: Tensor, valid: Tensor) -> Tensor:
    """The softmax over the classes that are no candidates, 0 at candidates; `(N, C)`."""
    row = torch.arange(len(logits), device=logits.device)[:, None].expand_as(candidates)[valid]  # (N, L) -> (V,)
    without = logits.clone()  # (N, C)
    # the smallest finite number, not -inf: where all are candidates the softmax must not be NaN
    without[row, candidates[valid]] = torch.finfo(logits.dtype).min
    return without.softmax(1)  # (N, C)
