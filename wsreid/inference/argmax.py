"""Pseudo labels image by image: the distribution over the candidates, and its largest entry."""

import torch
from torch import Tensor

from wsreid.inference.pseudo_labels import PseudoLabels


def candidate_softmax(logits: Tensor, candidates: Tensor) -> Tensor:
    """Class probabilities given that the class is a candidate: p_ic / sum_{c' in S_i} p_ic'.

    Args:
        logits: `(N, C)` floating point.
        candidates: S_i, class indices `(N, L)` long, padded with -1.

    Returns:
        `(N, L)` float32 (float64 for float64 logits), 0 at padding; rows sum to 1, those without candidates to 0.
    """
    valid = candidates >= 0  # (N, L)
    inside = logits.gather(1, candidates.clamp(min=0))  # (N, C) -> (N, L)
    inside = inside.to(torch.promote_types(inside.dtype, torch.float32))
    # the smallest finite number, not -inf: a row without candidates must not become NaN
    masked = inside.masked_fill(~valid, torch.finfo(inside.dtype).min)
    return masked.softmax(1) * valid  # (N, L)


def most_probable(probs: Tensor, candidates: Tensor) -> Tensor:
    """The candidate with the largest probability; the first in the list among equals.

    Args:
        probs: `(N, L)`.
        candidates: Class indices `(N, L)` long, padded with -1.

    Returns:
        Class index of each image, `(N,)` long; -1 for an image without candidates.
    """
    if candidates.shape[1] == 0:
        return candidates.new_full((len(candidates),), -1)  # (N,)
    best = probs.masked_fill(candidates < 0, -1.0).argmax(1)  # (N, L) -> (N,)
    return candidates.gather(1, best[:, None])[:, 0]  # (N, L) -> (N,)


@torch.no_grad()
def candidate_argmax(logits: Tensor, candidates: Tensor) -> PseudoLabels:
    """The rule of the official graph model: argmax_k (Y_i * P_i)[k], image by image.

    Source: github.com/wanggrun/SYSU-30k, the full model of arXiv:1904.03845. It is taken over the candidates' logits:
    P_i itself may underflow to 0 on all of them, where the product's argmax would leave the bag label.

    Args:
        logits: `(N, C)` floating point.
        candidates: Class indices of each image's bag, `(N, L)` long, padded with -1.

    Returns:
        The labels, and the softmax over the candidates.
    """
    probs = candidate_softmax(logits, candidates)  # (N, L)
    if candidates.shape[1] == 0:
        return PseudoLabels(ids=most_probable(probs, candidates), probs=probs)
    # of the logits, not of `probs`: two near logits may round to one probability
    inside = logits.gather(1, candidates.clamp(min=0)).masked_fill(candidates < 0, -torch.inf)  # (N, C) -> (N, L)
    best = inside.argmax(1, keepdim=True)  # (N, L) -> (N, 1)
    return PseudoLabels(ids=candidates.gather(1, best)[:, 0], probs=probs)
