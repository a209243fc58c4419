"""What a network's weights are known by."""

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor


def weights_hash(weights: Mapping[str, Tensor]) -> str:
    """Hashes names, types, shapes and numbers of a network's weights.

    Args:
        weights: Tensors by name.

    Returns:
        SHA-256 in hexadecimal digits; the order of the names does not matter.
    """
    found = hashlib.sha256()
    for name in sorted(weights):
        tensor = weights[name].detach().cpu().contiguous()
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().data)  # (...) -> (bytes,)
    return found.hexdigest()
