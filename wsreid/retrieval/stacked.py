"""Query and gallery as the rows of one table, which re-ranking compares all with all."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from wsreid.retrieval.features import Doubles, FeatureTable, Integers


class StackedTable(FeatureTable):
    """The query's rows, then the gallery's; nothing is copied.

    Args:
        query: Q rows, `(Q, D)`.
        gallery: G rows, `(G, D)`, on the same device.
    """

    def __init__(self, query: FeatureTable, gallery: FeatureTable) -> None:
        self.query, self.gallery = query, gallery
        self.device, self.width = gallery.device, gallery.width
        self.rows = query.rows + gallery.rows

    def slice(self, start: int, stop: int) -> Tensor:
        """Rows `start` to `stop`, `(stop - start, D)`, in the wider of the two stored types where they meet."""
        edge = self.query.rows
        if stop <= edge:
            return self.query.slice(start, stop)
        if start >= edge:
            return self.gallery.slice(start - edge, stop - edge)
        return torch.cat([self.query.slice(start, edge), self.gallery.slice(0, stop - edge)])

    def pick(self, index: Tensor) -> Tensor:
        """The rows at `index` `(n,)`, as `(n, D)` float64."""
        if self.device.type == "cpu":  # where NumPy scatters rows in less time
            return torch.from_numpy(self.pick_array(index.numpy()))
        mine = index < self.query.rows
        if bool(mine.all()):
            return self.query.pick(index)
        if not bool(mine.any()):
            return self.gallery.pick(index - self.query.rows)
        rows = torch.empty((len(index), self.width), dtype=torch.float64, device=self.device)
        rows[mine] = self.query.pick(index[mine])
        rows[~mine] = self.gallery.pick(index[~mine] - self.query.rows)
        return rows

    def pick_into(self, index: Integers, out: Doubles) -> None:
        """See `FeatureTable.pick_into`."""
        out[:] = self.pick_array(index)

    def pick_array(self, index: Integers) -> Doubles:
        """The same by NumPy alone."""
        mine = index < self.query.rows
        if mine.all():
            return self.query.pick_array(index)
        if not mine.any():
            return self.gallery.pick_array(index - self.query.rows)
        rows = np.empty((len(index), self.width))
        rows[mine] = self.query.pick_array(index[mine])
        rows[~mine] = self.gallery.pick_array(index[~mine] - self.query.rows)
        return rows
