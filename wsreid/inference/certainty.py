"""How certain a soft label is."""

import torch
from torch import Tensor

from wsreid.losses.precision import in_float32


@torch.no_grad()
@in_float32
def certainty(probs: Tensor, candidates: Tensor) -> Tensor:
    """From 0 for even shares of all candidates to 1 for one of them: a measure of ours.

        c_i = (sum_k w_ik^2 - 1/L_i) / (1 - 1/L_i),   L_i candidates;   c_i = 1 where L_i = 1

    Args:
        probs: w, `(N, L)` floating point; rows sum to 1 over the candidates.
        candidates: Class indices `(N, L)` long, padded with -1.

    Returns:
        c, `(N,)` in [0, 1]; 0 for an image without candidates.
    """
    valid = candidates >= 0  # (N, L)
    number = valid.sum(1)  # (N, L) -> (N,)
    even = 1 / number.clamp(min=1).to(probs.dtype)  # (N,)
    square = (probs * valid).square().sum(1)  # (N, L) -> (N,)
    found = ((square - even) / (1 - even).clamp(min=1e-6)).clamp(0, 1)  # (N,)
    return torch.where(number > 1, found, (number == 1).to(probs.dtype))
