"""Distances between all pairs of a batch, shared by the losses."""

import torch
from torch import Tensor


def squared_distances(features: Tensor) -> Tensor:
    """Squared Euclidean distances between all rows, `|a|^2 + |b|^2 - 2ab`.

    The diagonal is exactly 0, which the formula alone does not give in floating point.

    Args:
        features: `(N, D)` floating point.

    Returns:
        `(N, N)`, not below 0 on the diagonal, up to rounding elsewhere.
    """
    squares = features.square().sum(1)  # (N, D) -> (N,)
    matrix = squares[:, None] + squares[None, :] - 2 * features @ features.T  # (N,) x (N,) -> (N, N)
    diagonal = torch.eye(len(features), dtype=torch.bool, device=features.device)  # (N, N)
    return matrix.masked_fill(diagonal, 0.0)


def distances(features: Tensor, floor: float = 1e-12) -> Tensor:
    """Euclidean distances between all rows, `sqrt(max(|a - b|^2, floor))`; no gradient below the floor.

    Args:
        features: `(N, D)` floating point.
        floor: Smallest squared distance; the root's gradient is infinite at 0.

    Returns:
        `(N, N)`.
    """
    return squared_distances(features).clamp(min=floor).sqrt()
