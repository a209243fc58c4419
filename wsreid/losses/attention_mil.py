"""The bag loss of attention pooling with a query per candidate.

Ilse, Tomczak, Welling, "Attention-based Deep Multiple Instance Learning", arXiv:1802.04712, pools with one attention
per bag, for one label per bag. A bag label of several identities needs one attention for each (ours): the pooling for
candidate c must find the images that show c.
"""

import torch
from torch import Tensor

from wsreid.inference.attention import attend, bag_softmax
from wsreid.losses.mil_pooling import with_images
from wsreid.losses.precision import in_float32


@in_float32
def attention_bag_loss(logits: Tensor, scores: Tensor, bag: Tensor, candidates: Tensor) -> Tensor:
    """What the attention of a candidate gathers must be classified as that candidate.

        a_ic = softmax_{i in b} e_ic,   s_bc = sum_{i in b} a_ic z_i  (a vector of C logits for each c in S_b)
        L    = -(1/B) sum_b (1/|S_b|) sum_{c in S_b} log softmax(s_bc)_c

    For a linear classifier W, s_bc = W sum_i a_ic h_i: pooling logits is pooling features.

    Args:
        logits: z, `(N, C)` floating point.
        scores: e, attention before the softmax, for each image and candidate of its bag, `(N, L)`.
        bag: Index in 0..B-1 of each image's bag, `(N,)` long.
        candidates: S_b, class indices `(B, L)` long, padded with -1.

    Returns:
        Scalar: mean over the bags that have images and candidates; 0 where there is none.
    """
    candidates = with_images(candidates, bag)  # (B, L)
    valid = candidates >= 0  # (B, L)
    pooled = attend(bag_softmax(scores, bag, candidates), logits, bag, len(candidates))  # (N, L), (N, C) -> (B, L, C)
    own = pooled.gather(2, candidates.clamp(min=0)[:, :, None])[:, :, 0]  # (B, L, C) -> (B, L)
    terms = (torch.logsumexp(pooled, 2) - own) * valid  # (B, L)
    count = valid.sum(1)  # (B, L) -> (B,)
    return (terms.sum(1) / count.clamp(min=1)).sum() / (count > 0).sum().clamp(min=1)
