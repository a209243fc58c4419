"""Counting and finding the true entries of large boolean tables, eight at a time."""

from __future__ import annotations

import torch
from torch import Tensor


def count_true(mask: Tensor) -> int:
    """Number of true entries.

    Args:
        mask: `(q, m)` bool, contiguous, m a multiple of 8.

    Returns:
        Their number.
    """
    words = mask.view(torch.int64)  # (q, m) -> (q, m / 8)
    if mask.device.type != "cpu":
        return int(mask.sum())
    total = 0
    for part in torch.split(words, 255, dim=1):  # a byte counts to 255
        total += int(part.sum(dim=1).view(torch.uint8).sum())  # (q, w) -> (q,) -> (8 q,)
    return total


def true_places(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Rows and columns of the true entries, in order.

    Args:
        mask: `(q, m)` bool, contiguous, m a multiple of 8.

    Returns:
        Two `(n,)` long tensors.
    """
    if mask.device.type != "cpu":
        row, column = torch.nonzero(mask, as_tuple=True)
        return row, column
    words = torch.nonzero(mask.view(torch.int64).view(-1)).flatten()  # (w,) words that are not all false
    word, lane = torch.nonzero(mask.view(-1, 8)[words], as_tuple=True)
    flat = words[word] * 8 + lane  # (n,)
    return flat // mask.shape[1], flat % mask.shape[1]
