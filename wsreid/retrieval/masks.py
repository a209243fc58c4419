"""Comparing large tables with a limit a row, and finding what is true; NumPy does it six times as fast on the CPU."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def at_least(values: Tensor, limits: Tensor | int, out: Tensor | None = None) -> Tensor:
    """Which values are not below their row's limit.

    Args:
        values: `(q, m)`.
        limits: `(q, 1)` of the same type, or one number.
        out: Where the result goes, `(q, m)` bool.

    Returns:
        `(q, m)` bool.
    """
    if values.device.type != "cpu":
        return torch.ge(values, limits, out=out)
    limit = limits.numpy() if isinstance(limits, Tensor) else limits
    found = np.greater_equal(values.numpy(), limit, out=None if out is None else out.numpy())
    return torch.from_numpy(found)


def count_true(mask: Tensor) -> int:
    """Number of true entries of a mask."""
    return int(np.count_nonzero(mask.numpy())) if mask.device.type == "cpu" else int(mask.sum())


def true_places(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Rows and columns of the true entries, in order.

    Args:
        mask: `(q, m)` bool, contiguous.

    Returns:
        Two `(n,)` long tensors.
    """
    if mask.device.type != "cpu":
        row, column = torch.nonzero(mask, as_tuple=True)
        return row, column
    row, column, _ = numbered_places(mask)
    return row, column


def numbered_places(mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rows and columns of the true entries of a mask `(q, m)` on the CPU, and their numbers `row m + column`."""
    flat = np.flatnonzero(mask.numpy())  # (n,)
    columns = max(mask.shape[1], 1)
    row = flat // columns  # not divmod: NumPy divides by one number in vector registers, for divmod it does not
    return torch.from_numpy(row), torch.from_numpy(flat - row * columns), torch.from_numpy(flat)
