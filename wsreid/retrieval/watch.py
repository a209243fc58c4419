"""How far a long piece of work is, told to whoever shows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from torch import Tensor

from wsreid.retrieval.features import FeatureTable

Watch: TypeAlias = Callable[[str, int, int], None]
"""Is given what is being done, how much of it is done, and how much there is in all; 0 = not known."""


def unwatched(what: str, done: int, total: int) -> None:
    """Shows nothing."""


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
