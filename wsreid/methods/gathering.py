"""Brings the processes' rows together, for what all of them must keep alike."""

import torch
import torch.distributed as dist
from torch import Tensor


@torch.no_grad()
def gather_rows(rows: Tensor) -> Tensor:
    """The rows of all processes, in the order of their ranks; the same on each. To be called by all.

    Args:
        rows: `(N, ...)`, contiguous rows; N may differ between processes.

    Returns:
        `(sum of N, ...)`, without gradient; the argument itself where there is one process.
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return rows.detach()
    count = torch.tensor([len(rows)], device=rows.device)
    counts = [torch.zeros_like(count) for _ in range(dist.get_world_size())]
    dist.all_gather(counts, count)
    sizes = [int(size) for size in counts]
    padded = rows.new_zeros((max(sizes), *rows.shape[1:]))
    padded[: len(rows)] = rows.detach()
    parts = [torch.empty_like(padded) for _ in sizes]
    dist.all_gather(parts, padded)
    return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])
