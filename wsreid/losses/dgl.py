"""The graph model's losses: a unary term and a relaxed Potts term.

Wang et al., "Weakly Supervised Person Re-ID: Differentiable Graphical Learning and A New Benchmark",
arXiv:1904.03845; formulas as the official code of the full model computes them (github.com/wanggrun/SYSU-30k).

With P_i = softmax(z_i), pseudo labels y_i inside the bag label and appearance features g_i:

    L_unary = (1/N)   sum_i  -log P_i[y_i]
    L_pair  = (1/N^2) sum_ij [y_i != y_j] exp(-|g_i - g_j|^2 / sigma) (-P_i . P_j)
    L_graph = L_unary + w L_pair,  w = 2

For independent labels y_i ~ P_i, y_j ~ P_j the Potts energy [y_i != y_j] has mean 1 - P_i . P_j: hence -P_i . P_j.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from wsreid.losses.distances import squared_distances
from wsreid.losses.precision import in_float32


@in_float32
def unary_loss(logits: Tensor, pseudo: Tensor) -> Tensor:
    """Cross entropy to the pseudo labels, averaged over the images that have one.

    Args:
        logits: `(N, C)` floating point.
        pseudo: Class index of each image, `(N,)` long; -1 = none.

    Returns:
        Scalar; 0 with zero gradient where no image has a pseudo label.
    """
    total = F.cross_entropy(logits, pseudo, ignore_index=-1, reduction="sum")  # (N, C) -> ()
    return total / (pseudo >= 0).sum().clamp(min=1)


@in_float32
def pairwise_loss(
    logits: Tensor,
    pseudo: Tensor,
    low_level: Tensor,
    sigma: float = 1.0,
    bag: Tensor | None = None,
    detach: bool = False,
) -> Tensor:
    """The relaxed Potts term: images that look alike and are labelled apart are drawn to one label.

    Args:
        logits: `(N, C)` floating point.
        pseudo: Class index of each image, `(N,)` long; -1 = none, such an image is in no pair.
        low_level: What "alike" is measured on, `(N, L)` floating point, not normalised.
        sigma: Scale of the kernel, in squared units of `low_level`.
        bag: None: pairs over the whole batch, across bags too, as the official code; else `(N,)` long: pairs within
            a bag, and the mean is over those.
        detach: Stop the gradient at `low_level` (the official code does not).

    Returns:
        Scalar, not above 0, unweighted; 0 where there is no pair.
    """
    known = pseudo >= 0  # (N,)
    pairs = known[:, None] & known[None, :]  # (N,) -> (N, N)
    if bag is not None:
        pairs = pairs & (bag[:, None] == bag[None, :])  # (N, N)
    apart = pairs & (pseudo[:, None] != pseudo[None, :])  # (N, N)
    appearance = low_level.detach() if detach else low_level
    kernel = torch.exp(-squared_distances(appearance) / sigma)  # (N, L) -> (N, N)
    probabilities = logits.softmax(1)  # (N, C)
    agreement = probabilities @ probabilities.T  # (N, C) -> (N, N)
    return -(kernel * agreement * apart).sum() / pairs.sum().clamp(min=1)


@in_float32
def soft_pairwise_loss(logits: Tensor, candidates: Tensor, coupling: Tensor) -> Tensor:
    """The Potts term of a bag's pairs, in its mean over independent labels of their candidates (ours).

        L = (1 / sum_ij |J_ij|) sum_ij J_ij (1 - p_i . p_j),   p_i the softmax over the candidates S_i

    1 - p_i . p_j is the chance that the two are labelled apart. Over the candidates alone, images of a bag can agree
    without being drawn out of the bag label.

    Args:
        logits: `(N, C)` floating point.
        candidates: S_i, class indices `(N, L)` long, padded with -1; equal within a bag.
        coupling: J, `(N, N)`, 0 between bags; negative for pairs to be kept apart. It takes no gradient.

    Returns:
        Scalar; 0 with zero gradient where all couplings are 0.
    """
    valid = candidates >= 0  # (N, L)
    inside = logits.gather(1, candidates.clamp(min=0))  # (N, C) -> (N, L)
    probs = inside.masked_fill(~valid, torch.finfo(inside.dtype).min).softmax(1) * valid  # (N, L)
    price = coupling.detach().to(probs.dtype)  # (N, N)
    return (price * (1 - probs @ probs.T)).sum() / price.abs().sum().clamp(min=1e-6)


def graph_loss(
    logits: Tensor,
    pseudo: Tensor,
    low_level: Tensor,
    pair_weight: float = 2.0,
    sigma: float = 1.0,
    bag: Tensor | None = None,
    detach: bool = False,
) -> Tensor:
    """The unary term plus `pair_weight` times the pairwise term; arguments as in `pairwise_loss`.

    Returns:
        Scalar.
    """
    pairwise = pairwise_loss(logits, pseudo, low_level, sigma, bag, detach)
    return unary_loss(logits, pseudo) + pair_weight * pairwise
