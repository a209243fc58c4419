"""Mean field on the graph of a bag: images pass on to each other what they think they are.

Krähenbühl and Koltun, "Efficient Inference in Fully Connected CRFs with Gaussian Edge Potentials", arXiv:1210.5644,
algorithm 1, on the energy of Wang et al., arXiv:1904.03845, whose images are the nodes.
"""

import torch
from torch import Tensor

from wsreid.losses.precision import in_float32


@torch.no_grad()
@in_float32
def mean_field(unary: Tensor, candidates: Tensor, coupling: Tensor, rounds: int = 5, damping: float = 0.5) -> Tensor:
    """Approximate marginals of the labels of a bag's images.

    For the energy E(y) = - sum_i U_i[y_i] - sum_{i<j} J_ij [y_i = y_j], which up to a constant is the Potts model with
    J_ij the price of labelling i and j apart:

        Q_i[k] proportional to exp(U_i[k] + sum_j J_ij Q_j[k])   for k in S_i,   in `rounds` rounds,
        each Q <- damping * old + (1 - damping) * new, since all images move at once and could swing

    A positive J_ij draws two images to one label, a negative one keeps them apart. Images of other bags have other
    candidates, so J must be 0 between bags: column l of the one is not the label of column l of the other.

    Args:
        unary: U, such as the log of a softmax, of the candidates, `(N, L)` floating point, finite; what stands at
            padding is not read.
        candidates: Class indices `(N, L)` long, padded with -1; equal within a bag.
        coupling: J, `(N, N)` floating point, 0 on the diagonal and between bags.
        rounds: Rounds; 0 = Q is the softmax of U.
        damping: Share of the old Q that stays, in [0, 1).

    Returns:
        Q, `(N, L)`, 0 at padding: rows sum to 1, those without candidates to 0.

    Raises:
        ValueError: `damping` is out of its range, or shapes do not fit.
    """
    if not 0 <= damping < 1:
        raise ValueError(f"damping must be in [0, 1), got {damping}")
    if unary.shape != candidates.shape or coupling.shape != (len(unary), len(unary)):
        raise ValueError(
            f"unary {tuple(unary.shape)}, candidates {tuple(candidates.shape)}, coupling {tuple(coupling.shape)}"
        )
    valid = candidates >= 0  # (N, L)
    lowest = torch.finfo(unary.dtype).min

    def softmax(scores: Tensor) -> Tensor:
        return scores.masked_fill(~valid, lowest).softmax(1) * valid  # (N, L)

    q = softmax(unary)
    for _ in range(rounds):
        q = damping * q + (1 - damping) * softmax(unary + coupling @ q)  # (N, N), (N, L) -> (N, L)
    return q
