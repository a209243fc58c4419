"""Features as a search in float32 or float16 reads them: scaled so that nothing overflows and no order changes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from wsreid.retrieval.features import FeatureTable, Metric
from wsreid.retrieval.scores import divide_rows, row_norms, scaled_rows, unit_rows


@dataclass(frozen=True)
class SearchRows:
    """A table whose rows are divided by their norms, or all by one power of two.

    Attributes:
        table: The stored features.
        scale: The power of two; None = each row's own norm.
    """

    table: FeatureTable
    scale: float | None

    def slice(self, start: int, stop: int) -> Tensor:
        """Rows `start` to `stop`, `(stop - start, D)` float32."""
        if self.scale is None:
            return unit_rows(self.table, start, stop)
        rows = self.table.slice(start, stop)
        return divide_rows(rows, torch.full((len(rows),), self.scale, dtype=torch.float64, device=rows.device))


def gallery_rows(gallery: FeatureTable, metric: Metric, *, memory: int, scale: float | None = None) -> SearchRows:
    """The gallery of a search.

    Args:
        gallery: G rows.
        metric: Under `cosine` each row has norm 1; else the longest row has a norm below 1.
        memory: Bytes that the working arrays may take.
        scale: The power of two, where it is known already.

    Returns:
        The scaled rows.
    """
    if metric == "cosine":
        return SearchRows(gallery, None)
    return SearchRows(gallery, power_of_two_above(longest(gallery, memory=memory)) if scale is None else scale)


def query_rows(query: FeatureTable, scale: float | None, metric: Metric) -> SearchRows:
    """The queries that go with a gallery of this scale: their length changes no order, save under `euclidean`."""
    return SearchRows(query, scale if metric == "euclidean" else None)


def longest(table: FeatureTable, *, memory: int) -> float:
    """The greatest norm of a row."""
    step = max(1, memory // (24 * table.width))
    starts = range(0, table.rows, step)
    return max(float(row_norms(table.slice(start, min(start + step, table.rows))).max()) for start in starts)


def squared_norms(table: FeatureTable, *, memory: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Squared norms `(N,)` in float64, to the last bit those of the exact scores."""
    squares = np.empty(table.rows)
    step = max(1, memory // (24 * table.width))
    for start in range(0, table.rows, step):
        index = torch.arange(start, min(start + step, table.rows), device=table.device)
        squares[start : start + step] = scaled_rows(table, index, "euclidean")[1].cpu().numpy()
    return squares


def power_of_two_above(value: float) -> float:
    """The least power of two above `value`; 1 for 0."""
    return float(2.0 ** torch.frexp(torch.tensor(value, dtype=torch.float64))[1].item()) if value > 0 else 1.0
