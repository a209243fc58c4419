"""Multiple-instance learning by pooling: one score per bag and class, and the bag label as its target.

The poolings are those that Wang et al., "Revisiting Multiple Instance Neural Networks", Pattern Recognition 74 (2018),
and the literature before it compare; the log-sum-exp's r = 5 and the noisy-or's form on logits are ours.
The pooled scores are `(B, C)`, B bags; no target or mask of that shape is made: candidates stay index lists `(B, L)`.
"""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from wsreid.losses.cross_entropy import candidate_binary_cross_entropy, candidate_cross_entropy
from wsreid.losses.precision import in_float32

Pool = Literal["max", "mean", "topk", "lse", "noisyor"]
"""How the logits of a bag's images become the score of the bag, see `pool_bags`."""

_BAG_LOSSES = {"ce": candidate_cross_entropy, "bce": candidate_binary_cross_entropy}


@in_float32
def pool_bags(
    logits: Tensor, bag: Tensor, bags: int, pool: Pool = "topk", share: float = 0.25, sharpness: float = 5.0
) -> Tensor:
    """One score for each bag and class, a logit as the images' are.

        max      max_i z_ic; images that tie share the gradient
        mean     (1/n) sum_i z_ic
        topk     mean of the k largest z_ic, k = ceil(n share): it depends on the images at hand
        lse      (1/r) log((1/n) sum_i exp(r z_ic)), between mean (r -> 0) and max (r -> inf)
        noisyor  the logit of 1 - prod_i (1 - sigmoid(z_ic)), that is log(exp(a) - 1) with a = sum_i softplus(z_ic);
                 with one image it is z_ic. A class all of whose logits are below about -87 has no gradient in float32.

    Args:
        logits: z, `(N, C)` floating point.
        bag: Index in 0..B-1 of each image's bag, `(N,)` long.
        bags: B.
        pool: Which pooling.
        share: Share of a bag's images that "topk" takes, in (0, 1].
        sharpness: r of "lse", above 0.

    Returns:
        `(B, C)`; 0 for a bag without images.

    Raises:
        ValueError: There is no such pooling.
    """
    on_cpu = bag.cpu()
    if bool((on_cpu[1:] < on_cpu[:-1]).any()):  # batches hold bag after bag: then no copy of the logits is made
        order = bag.argsort(stable=True)  # (N,)
        logits = logits.index_select(0, order)  # (N, C)
    counts = torch.bincount(on_cpu, minlength=bags).tolist()
    parts = torch.split(logits, counts)  # (N, C) -> B x (n_b, C)
    return torch.stack([_pool(part, pool, share, sharpness) for part in parts])  # B x (C,) -> (B, C)


def _pool(logits: Tensor, pool: Pool, share: float, sharpness: float) -> Tensor:
    """Pools one bag, `(n, C)` -> `(C,)`."""
    n = len(logits)
    if n == 0:
        return logits.sum(0)
    if pool == "max":
        return logits.amax(0)
    if pool == "mean":
        return logits.mean(0)
    if pool == "topk":
        k = max(1, math.ceil(n * share - 1e-9))  # 12 * 0.25 must not become 4 by a rounding error
        return logits.topk(k, dim=0).values.mean(0)  # (n, C) -> (k, C) -> (C,)
    if pool == "lse":
        return (torch.logsumexp(sharpness * logits, 0) - math.log(n)) / sharpness
    if pool == "noisyor":
        absent = F.softplus(logits).sum(0)  # (n, C) -> (C,): -log of the probability that no image shows the class
        absent = absent.clamp(min=torch.finfo(absent.dtype).tiny)
        return absent + torch.log(-torch.expm1(-absent))  # log(exp(a) - 1) without overflow
    raise ValueError(f"pool must be max, mean, topk, lse or noisyor, got {pool!r}")


@in_float32
def pooled_bag_loss(
    logits: Tensor,
    bag: Tensor,
    candidates: Tensor,
    pool: Pool = "topk",
    loss: Literal["ce", "bce"] = "ce",
    share: float = 0.25,
    sharpness: float = 5.0,
) -> Tensor:
    """The bag label as the target of the bag's scores s.

        ce   -(1/B) sum_b (1/|S_b|) sum_{c in S_b} log softmax(s_b)_c
        bce   (1/B) sum_b sum_c BCE(sigmoid(s_bc), [c in S_b])

    Args:
        logits: `(N, C)` floating point.
        bag: Index in 0..B-1 of each image's bag, `(N,)` long.
        candidates: S_b, class indices `(B, L)` long, padded with -1.
        pool: See `pool_bags`, as `share` and `sharpness`.
        loss: "ce" or "bce".
        share: Share of a bag's images that "topk" takes.
        sharpness: r of "lse".

    Returns:
        Scalar: mean over the bags that have images and candidates; 0 where there is none.

    Raises:
        ValueError: There is no such pooling.
    """
    scores = pool_bags(logits, bag, len(candidates), pool, share, sharpness)  # (N, C) -> (B, C)
    return _BAG_LOSSES[loss](scores, with_images(candidates, bag))


def with_images(candidates: Tensor, bag: Tensor) -> Tensor:
    """The candidates `(B, L)`, taken from the bags that have no image in `bag` `(N,)`."""
    empty = torch.bincount(bag, minlength=len(candidates)) == 0  # (N,) -> (B,)
    return candidates.masked_fill(empty[:, None], -1)
