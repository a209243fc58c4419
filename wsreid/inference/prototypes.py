"""Labels from class prototypes, and how the prototypes follow them.

Hard labels: Wang et al., "PiCO: Contrastive Label Disambiguation for Partial Label Learning", arXiv:2201.08984. Soft
ones: ours.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from wsreid.inference.argmax import most_probable
from wsreid.inference.pseudo_labels import PseudoLabels
from wsreid.losses.precision import at_least_float32, in_float32


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
    share = (1 - momentum) * momentum ** later.to(features.dtype) * member  # (M,), (K, M) -> (K, M)
    kept = momentum ** member.sum(1, keepdim=True).to(features.dtype)  # (K, M) -> (K, 1)
    # a product, not index_add: its sum has one order on a GPU too
    moved = kept * prototypes[classes] + share @ features  # (K, D)
    return classes, F.normalize(moved, dim=1)


@torch.no_grad()
def prototype_scores(features: Tensor, prototypes: Tensor, candidates: Tensor) -> Tensor:
    """How alike an image is to the prototype of each of its candidates: f_i . mu_c.

    An image has scores only where all of its candidates have a prototype: else a candidate would lose, or win, because
    none of its images has come yet.

    Args:
        features: f, `(N, D)` floating point, L2-normalised.
        prototypes: mu, `(C, D)` floating point, L2-normalised or zeros; in half precision no copy of all is made.
        candidates: Class indices `(N, L)` long, padded with -1.

    Returns:
        `(N, L)` in [-1, 1]; 0 at padding, and throughout for an image without scores.
    """
    valid = candidates >= 0  # (N, L)
    features = at_least_float32(features)
    own = prototypes[candidates.clamp(min=0)].to(features.dtype)  # (C, D) -> (N, L, D)
    known = ((own != 0).any(2) | ~valid).all(1, keepdim=True)  # (N, L, D) -> (N, 1)
    with torch.autocast(features.device.type, enabled=False):
        scores: Tensor = torch.einsum("nd,nld->nl", features, own)  # (N, L)
    return scores * (valid & known)


@torch.no_grad()
@in_float32
def prototype_sums(features: Tensor, candidates: Tensor, probs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What a batch says of each class: the sum of its images, each by how surely it shows the class.

        n_c = sum_i w_ic^2,   s_c = sum_i w_ic^2 f_i

    The square leaves little of the many small shares that a bag's other people have.

    Args:
        features: f, `(N, D)` floating point, L2-normalised.
        candidates: Class indices `(N, L)` long, padded with -1.
        probs: w, `(N, L)`, 0 at padding.

    Returns:
        The classes, `(K,)` long, ascending; n, `(K,)`; s, `(K, D)`.
    """
    valid = (candidates >= 0) & (probs > 0)  # (N, L)
    image, column = torch.nonzero(valid, as_tuple=True)  # (P,), (P,)
    classes, group = torch.unique(candidates[image, column], return_inverse=True)  # (P,) -> (K,), (P,)
    weight = probs[image, column].square()  # (P,)
    share = features.new_zeros(len(classes), len(features))  # (K, N)
    share.index_put_((group, image), weight.to(features.dtype), accumulate=True)
    # a product, not index_add: its sum has one order on a GPU too
    return classes, share.sum(1), share @ features  # (K, N), (N, D) -> (K, D)


@torch.no_grad()
def drawn_prototypes(
    prototypes: Tensor, classes: Tensor, mass: Tensor, sums: Tensor, momentum: float, least: float = 0.05
) -> tuple[Tensor, Tensor]:
    """Draws prototypes towards what batches said of their classes.

        mu_c <- normalised((1 - a) mu_c + a s_c / |s_c|),   a = (1 - m) min(n_c, 1);  a = 1 for a class without one

    so half an image moves a prototype half as far, and many images no farther than one.

    Args:
        prototypes: mu, `(C, D)` floating point; not changed, and in half precision no copy of all is made.
        classes: `(K,)` long; a class may stand several times, once for each process.
        mass: n, `(K,)`.
        sums: s, `(K, D)`.
        momentum: m, in [0, 1).
        least: Classes with a smaller n do not move.

    Returns:
        The classes that move, `(k,)` long, ascending, and their new prototypes `(k, D)`.
    """
    mass, sums = at_least_float32(mass), at_least_float32(sums)
    moving, group = torch.unique(classes, return_inverse=True)  # (K,) -> (k,), (K,)
    member = (group == torch.arange(len(moving), device=group.device)[:, None]).to(sums.dtype)  # (K,) -> (k, K)
    with torch.autocast(sums.device.type, enabled=False):
        total, towards = member @ mass, F.normalize(member @ sums, dim=1)  # (k,), (k, D)
    kept = total >= least  # (k,)
    moving, total, towards = moving[kept], total[kept], towards[kept]
    before = prototypes[moving].to(sums.dtype)  # (k, D)
    share = ((1 - momentum) * total.clamp(max=1))[:, None]  # (k,) -> (k, 1)
    share = torch.where((before != 0).any(1, keepdim=True), share, 1.0)
    return moving, F.normalize((1 - share) * before + share * towards, dim=1)
