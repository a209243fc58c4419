"""A random candidate for each image: the labels that are as good as chance."""

import numpy as np
import torch
from torch import Tensor

from wsreid.inference.pseudo_labels import PseudoLabels

_UNIT = 2.0**-53


def hashed_uniform(seed: int, keys: Tensor) -> Tensor:
    """Numbers in [0, 1) that depend on (seed, key) alone: the same in any batch, process and epoch.

    The finaliser of SplitMix64 (Steele et al., "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014), applied
    to the seed and then to its result xor the key; the upper 53 bits make the number.

    Args:
        seed: Not negative.
        keys: `(N,)` long, any values.

    Returns:
        `(N,)` float64 on the CPU.
    """
    mixed = _mixed(_mixed(np.array([seed], dtype=np.uint64)) ^ keys.cpu().numpy().astype(np.uint64))  # (N,)
    return torch.from_numpy((mixed >> np.uint64(11)).astype(np.float64) * _UNIT)


def _mixed(x: np.typing.NDArray[np.uint64]) -> np.typing.NDArray[np.uint64]:
    x = x + np.uint64(0x9E3779B97F4A7C15)  # arrays of uint64 wrap around, as they should here
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@torch.no_grad()
def random_candidate(candidates: Tensor, uniform: Tensor) -> PseudoLabels:
    """The candidate at place floor(u |S_i|) of each image's list, each as likely as the others for uniform u.

    Args:
        candidates: S_i, class indices `(N, L)` long, padded with -1.
        uniform: u, `(N,)` floating point in [0, 1), on any device.

    Returns:
        The labels, and a distribution with all its mass on them; -1 and zeros for images without candidates.
    """
    valid = candidates >= 0  # (N, L)
    width = valid.sum(1)  # (N, L) -> (N,)
    # in float64 on the CPU: in float32 u near 1 would round up to the width
    place = (uniform.double().cpu() * width.cpu()).long().to(candidates.device)  # (N,)
    chosen = valid & (valid.cumsum(1) == place[:, None] + 1)  # (N, L), one True in a row with candidates
    ids = (candidates * chosen).sum(1).masked_fill(width == 0, -1)  # (N, L) -> (N,)
    return PseudoLabels(ids=ids, probs=chosen.float())
