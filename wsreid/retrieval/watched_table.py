"""A table that tells how far it has been read."""

from __future__ import annotations

from torch import Tensor

from wsreid.retrieval.features import FeatureTable
from wsreid.retrieval.watching import Watch


class WatchedTable(FeatureTable):
    """A table that tells how far it has been read, for work that reads it from its first row to its last.

    Args:
        table: The table.
        what: What it is read for.
        watch: Is told after each slice.
    """

    def __init__(self, table: FeatureTable, what: str, watch: Watch) -> None:
        super().__init__(table._features, table.device)
        self._what = what
        self._watch = watch

    def slice(self, start: int, stop: int) -> Tensor:
        """Rows `start` to `stop`, `(stop - start, D)`, in the stored type."""
        rows = super().slice(start, stop)
        self._watch(self._what, stop, self.rows)
        return rows
