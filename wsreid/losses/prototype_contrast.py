"""Contrast with the prototypes of identities, by soft labels.

The loss of Dai et al., "Cluster Contrast for Unsupervised Person Re-Identification", arXiv:2103.11568, eq. 3, with
identities in place of clusters and a distribution over candidates in place of a label: the change is ours.
"""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from wsreid.losses.precision import at_least_float32


def prototype_contrast_loss(
    features: Tensor,
    prototypes: Tensor,
    candidates: Tensor,
    probs: Tensor,
    temperature: float = 0.1,
    chunk: int = 4096,
) -> Tensor:
    """Cross entropy over the similarities to all prototypes.

        L = -(1/N') sum_i sum_{k in S_i} w_ik log exp(f_i . mu_k / T) / sum_c exp(f_i . mu_c / T),   |f_i| = 1

    A prototype of zeros (its class has had no image) is left out of the sum, and an image with such a candidate out of
    the mean over N'.

    Args:
        features: `(N, D)` floating point, not normalised.
        prototypes: mu, `(C, D)` floating point, L2-normalised or zeros, taken as constants; in half precision no
            copy of all is made.
        candidates: S_i, class indices `(N, L)` long, padded with -1.
        probs: w, `(N, L)`, without gradient; rows sum to 1 over the candidates.
        temperature: T, above 0.
        chunk: Classes at a time: what the backward pass would keep of more than these is computed again.

    Returns:
        Scalar; 0 with zero gradient where no image counts.

    Raises:
        ValueError: The temperature is not above 0.
    """
    if temperature <= 0:
        raise ValueError(f"temperature must be above 0, got {temperature}")
    valid = candidates >= 0  # (N, L)
    prototypes = prototypes.detach()
    with torch.autocast(features.device.type, enabled=False):
        unit = F.normalize(at_least_float32(features), dim=1)  # (N, D)
        own = prototypes[candidates.clamp(min=0)].to(unit.dtype)  # (C, D) -> (N, L, D)
        counts = ((own != 0).any(2) | ~valid).all(1) & valid.any(1)  # (N, L, D) -> (N,)
        inside = torch.einsum("nd,nld->nl", unit, own) / temperature  # (N, L)
        parts = torch.split(prototypes, chunk)  # (C, D) -> of (c, D)
        if len(parts) == 1:
            total = _log_sum(unit, parts[0], temperature)  # (N,)
        else:
            sums = [checkpoint(_log_sum, unit, part, temperature, use_reentrant=False) for part in parts]
            total = torch.stack(sums).logsumexp(0)  # (N,)
        share = at_least_float32(probs.detach()) * valid * counts[:, None]  # (N, L)
        return (share * (total[:, None] - inside)).sum() / counts.sum().clamp(min=1)


def _log_sum(unit: Tensor, prototypes: Tensor, temperature: float) -> Tensor:
    known = (prototypes != 0).any(1)  # (c, D) -> (c,)
    logits = unit @ prototypes.to(unit.dtype).T / temperature  # (N, D), (D, c) -> (N, c)
    # a finite number: the gradient of a sum over infinities alone is not a number
    return logits.masked_fill(~known, torch.finfo(logits.dtype).min).logsumexp(1)  # (N, c) -> (N,)
