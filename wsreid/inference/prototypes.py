"""Labels from class prototypes, and how the prototypes follow them.

Wang et al., "PiCO: Contrastive Label Disambiguation for Partial Label Learning", arXiv:2201.08984.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from wsreid.inference.argmax import most_probable
from wsreid.inference.pseudo_labels import PseudoLabels
from wsreid.losses.precision import in_float32


@torch.no_grad()
@in_float32
def nearest_prototype(features: Tensor, prototypes: Tensor, candidates: Tensor) -> PseudoLabels:
    """The candidate whose prototype is most alike: argmax_{c in S_i} q_i . mu_c; the first among equals.

    A prototype of zeros (its class has had no image) scores 0, as in the source. Where all of an image's candidates
    have none, it gets no label (ours: the source would take the first).

    Args:
        features: q, `(N, D)` floating point, L2-normalised.
        prototypes: mu, `(C, D)` floating point, L2-normalised or zeros.
        candidates: S_i, class indices `(N, L)` long, padded with -1.

    Returns:
        The labels, and a distribution with all its mass on them; -1 and zeros for images without one.
    """
    own = prototypes[candidates.clamp(min=0)]  # (C, D) -> (N, L, D)
    known = ((own != 0).any(2) & (candidates >= 0)).any(1)  # (N, L, D) -> (N,)
    score = torch.einsum("nd,nld->nl", features, own)  # (N, L), in [-1, 1]
    ids = most_probable(score + 1, candidates).masked_fill(~known, -1)  # (N,); +1 lifts it above the padding's -1
    chosen = (candidates == ids[:, None]) & known[:, None]  # (N, L)
    return PseudoLabels(ids=ids, probs=chosen.float())


@torch.no_grad()
@in_float32
def moved_prototypes(
    prototypes: Tensor, features: Tensor, labels: Tensor, momentum: float = 0.99
) -> tuple[Tensor, Tensor]:
    """Moves the prototype of each class that a batch holds, image by image in the batch's order.

        mu_c <- m mu_c + (1 - m) q_i    for each i with y_i = c;    mu_c <- mu_c / |mu_c| in the end

    Args:
        prototypes: mu, `(C, D)` floating point; not changed.
        features: q, `(N, D)` floating point, L2-normalised.
        labels: y, class index of each image, `(N,)` long; -1 = none.
        momentum: m, in [0, 1).

    Returns:
        The classes that move, `(K,)` long, ascending, and their new prototypes `(K, D)`.
    """
    known = labels >= 0  # (N,)
    features, labels = features[known], labels[known]  # (M, D), (M,)
    classes, group = torch.unique(labels, return_inverse=True)  # (M,) -> (K,), (M,)
    member = group == torch.arange(len(classes), device=group.device)[:, None]  # (M,) -> (K, M)
    later = (group[:, None] == group).triu(1).sum(1)  # (M, M) -> (M,): images of the class that come after
    share = (1 - momentum) * momentum**later * member  # (M,), (K, M) -> (K, M)
    kept = momentum ** member.sum(1, keepdim=True)  # (K, M) -> (K, 1)
    # a product, not index_add: its sum has one order on a GPU too
    moved = kept * prototypes[classes] + share.to(features.dtype) @ features  # (K, D)
    return classes, F.normalize(moved, dim=1)
