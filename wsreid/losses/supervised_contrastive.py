"""Contrast between two views of a batch and a queue of earlier ones, with labels and without.

He et al., "Momentum Contrast for Unsupervised Visual Representation Learning", arXiv:1911.05722 (without);
Khosla et al., "Supervised Contrastive Learning", arXiv:2004.11362 (with); together as in PiCO, Wang et al.,
arXiv:2201.08984. Features are L2-normalised. Nothing is larger than N x (2N + Q).
"""

import torch
from torch import Tensor

from wsreid.losses.precision import in_float32


@in_float32
def momentum_contrastive_loss(
    query: Tensor, key: Tensor, queue: Tensor, filled: Tensor, temperature: float = 0.07
) -> Tensor:
    """Each image's other view against the queue.

        L = -(1/N) sum_i log exp(q_i . k_i / t) / (exp(q_i . k_i / t) + sum_j exp(q_i . u_j / t))

    Args:
        query: q, `(N, D)` floating point, L2-normalised.
        key: k, the other view of the same images, `(N, D)`.
        queue: u, keys of earlier batches, `(Q, D)`.
        filled: Which places of the queue hold one, `(Q,)` bool.
        temperature: t.

    Returns:
        Scalar; 0 where the queue is empty or there is no image.
    """
    positive = (query * key).sum(1, keepdim=True) / temperature  # (N, D) -> (N, 1)
    others = query @ queue.T / temperature  # (N, D) x (D, Q) -> (N, Q)
    # the smallest finite number, not -inf, for gradients without NaN
    others = others.masked_fill(~filled, torch.finfo(others.dtype).min)
    per_image = torch.cat([positive, others], 1).logsumexp(1) - positive[:, 0]  # (N, 1 + Q) -> (N,)
    return per_image.sum() / max(len(query), 1)


@in_float32
def supervised_contrastive_loss(
    query: Tensor, key: Tensor, queue: Tensor, labels: Tensor, queue_labels: Tensor, temperature: float = 0.07
) -> Tensor:
    """Each query against all queries, keys and the queue; those with its label are its positives.

        L = -(1/N) sum_i 1/|P_i| sum_{j in P_i} log exp(q_i . a_j / t) / sum_{j' in A_i} exp(q_i . a_j' / t)

    A_i holds all queries but i, all keys and the queue, P_i those of A_i with i's label: its own key always is one.

    Args:
        query: q, `(N, D)` floating point, L2-normalised.
        key: The other view of the same images, `(N, D)`.
        queue: Keys of earlier batches, `(Q, D)`.
        labels: Label of each image, `(N,)` long; -1 = none: no anchor, and in no A_i.
        queue_labels: Label of each place of the queue, `(Q,)` long; -1 = empty.
        temperature: t.

    Returns:
        Scalar: mean over the images with a label; 0 with zero gradient where there is none.
    """
    against = torch.cat([query, key, queue])  # (M, D), M = 2N + Q
    label = torch.cat([labels, labels, queue_labels])  # (M,)
    similarity = query @ against.T / temperature  # (N, D) x (D, M) -> (N, M)
    place = torch.arange(len(label), device=query.device)  # (M,)
    usable = (label >= 0) & (place != place[: len(query), None])  # (M,), (N, 1) -> (N, M): not with itself
    positive = usable & (label == labels[:, None])  # (N, M)
    # the smallest finite number, not -inf, for gradients without NaN
    total = similarity.masked_fill(~usable, torch.finfo(similarity.dtype).min).logsumexp(1)  # (N, M) -> (N,)
    count = positive.sum(1)  # (N, M) -> (N,)
    mean = (similarity * positive).sum(1) / count.clamp(min=1)  # (N, M) -> (N,)
    per_image = (total - mean).masked_fill(labels < 0, 0)  # (N,)
    return per_image.sum() / (labels >= 0).sum().clamp(min=1)
