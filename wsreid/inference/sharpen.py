"""A distribution over the candidates, made more decided.

The temperature of Berthelot et al., "MixMatch", arXiv:1905.02249, eq. 7, on the candidates of a bag.
"""

import torch
from torch import Tensor

from wsreid.losses.precision import in_float32


@torch.no_grad()
@in_float32
def sharpened(probs: Tensor, candidates: Tensor, temperature: float) -> Tensor:
    """Raises probabilities to a power and normalises them: q_ic = p_ic^(1/T) / sum_{c' in S_i} p_ic'^(1/T).

    Args:
        probs: p, `(N, L)` floating point, not negative; what stands at padding is not read.
        candidates: Class indices `(N, L)` long, padded with -1.
        temperature: T, above 0: 1 leaves p as it is, near 0 all goes to the largest.

    Returns:
        q, `(N, L)`, 0 at padding: rows sum to 1, those without candidates to 0.

    Raises:
        ValueError: The temperature is not above 0.
    """
    if temperature <= 0:
        raise ValueError(f"temperature must be above 0, got {temperature}")
    valid = candidates >= 0  # (N, L)
    # in the log domain: small powers of small numbers vanish
    power = probs.clamp(min=torch.finfo(probs.dtype).tiny).log() / temperature  # (N, L)
    return power.masked_fill(~valid, torch.finfo(probs.dtype).min).softmax(1) * valid  # (N, L)
