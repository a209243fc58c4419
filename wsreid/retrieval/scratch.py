"""Working memory that is used again: fresh pages would cost more than the work done in them."""

from __future__ import annotations

import math

import torch
from torch import Tensor


class Scratch:
    """Named pieces of memory, each as large as the largest that was asked for.

    Args:
        device: Where they lie.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._held: dict[tuple[str, torch.dtype], Tensor] = {}

    def take(self, name: str, shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Tensor:
        """A tensor of unknown content; what was taken before under this name and type is overwritten by its use.

        Args:
            name: What it is for.
            shape: Its shape.
            dtype: Its type.

        Returns:
            The tensor, contiguous.
        """
        size, key = math.prod(shape), (name, dtype)
        held = self._held.get(key)
        if held is None or held.numel() < size:
            self._held.pop(key, None)
            del held
            held = self._held[key] = torch.empty(size, dtype=dtype, device=self.device)
        return held[:size].view(shape)
